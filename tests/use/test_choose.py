"""What is trained on a store: by what is there, with reasons, or a refusal that says what is missing."""

from collections.abc import Sequence

import numpy as np
import pytest

from lab.use import choose
from lib.data.schema import Video
from lib.data.store import Store
from lib.data.writer import StoreWriter
from lib.recipes.errors import RecipeError
from lib.recipes.job import Job
from lib.recipes.load import load
from lib.recipes.specs import Scale
from lib.runs import paths
from lib.stages.build import check


def store(
    folder, categories: Sequence[str | None], pairs: int = 0, tags: tuple | None = None, levels: int = 3
) -> Store:
    track = "pairs" if pairs else "classes"
    with StoreWriter(folder / "store", track=track, source="custom") as writer:
        for number, category in enumerate(categories):
            part = "test" if category == "held" else "labeled"
            frames = np.ones((1, 8), np.float16)
            writer.add(Video(id=str(number), title="t", category=category, tags=tags, part=part, frames=frames))
        for number in range(pairs):
            writer.add_pair("0", str(1 + number % (len(categories) - 1)), (number % levels) / levels)
        named = sorted({c for c in categories if c}) or None
        return writer.finish(tags=sorted(tags) if tags else None, categories=named)


@pytest.mark.parametrize(
    ("categories", "chosen", "says"),
    [
        (
            ["a"] * 30 + ["b"] * 10 + [None] * 9,
            ("wechat_baseline", "few"),
            "40 videos in 2 categories, 10 to 30 in each",
        ),
        (["a"] * 1500 + ["b"] * 900, ("wechat_baseline", "bags"), "too few to learn the order"),
        (["a"] * 5000 + ["b"] * 5, ("wechat_baseline", "base"), "1 categories have fewer than 8 videos"),
    ],
)
def test_classes_by_how_many_have_one(tmp_path, categories, chosen, says):
    found = choose.choose(store(tmp_path, categories))
    assert (found.recipe, found.arm) == chosen and says in "; ".join(found.reasons)


@pytest.mark.parametrize(
    ("pairs", "tags", "chosen"),
    [(30, None, ("aiac_rank17", "few")), (30, (3,), ("aiac_rank17", "few")), (10_000, None, ("aiac_rank17", "few")),
     (10_000, (3,), ("aiac_rank1", "base"))],
)  # fmt: skip
def test_pairs_by_their_number_and_tags(tmp_path, pairs, tags, chosen):
    found = choose.choose(store(tmp_path, [None] * 40, pairs, tags))
    assert (found.recipe, found.arm) == chosen


@pytest.mark.parametrize(
    ("categories", "pairs", "levels", "says"),
    [
        ([None] * 50, 0, 3, "0 videos with a category, in 0 categories; .*a folder of videos for each"),
        (["a"] * 50, 0, 3, "50 videos with a category, in 1 categories"),
        (["a", "b"] * 9 + ["held"] * 9, 0, 3, "18 videos with a category"),
        ([None] * 9, 19, 3, "19 pairs; at least 20"),
        ([None] * 9, 60, 1, "with different scores"),
    ],
)
def test_nothing_to_learn_from_is_said(tmp_path, categories, pairs, levels, says):
    with pytest.raises(RecipeError, match=says):
        choose.choose(store(tmp_path, categories, pairs, levels=levels))


def test_what_is_chosen_can_be_built(tmp_path):
    for number, made in enumerate((store(tmp_path / "c", ["a", "b"] * 20), store(tmp_path / "p", [None] * 40, 30))):
        found = choose.choose(made)
        assert check(Job.load(found.recipe, "finetune", found.arm, 0, "laptop", str(made.path))) > 1000, number


def test_encoders_by_name_make_a_scale_of_their_own(tmp_path, monkeypatch):
    """For one's own videos only: the language model of the generated ones stays."""
    made = store(tmp_path, ["a", "b"] * 20)
    scales = tmp_path / "params" / "scales"
    scales.mkdir(parents=True)
    (scales / "laptop.yaml").write_text((paths.params() / "scales" / "laptop.yaml").read_text(encoding="utf-8"))
    for kind in ("recipes", "ablations", "features", "backbones"):
        (scales.parent / kind).symlink_to(paths.params() / kind)
    monkeypatch.setenv("VIDLAB_PARAMS", str(scales.parent))
    assert choose.with_encoders("laptop", "", "") == "laptop"
    name = choose.with_encoders("laptop", "openai/clip-vit-base-patch32", "bert-base-chinese")
    assert name == choose.with_encoders("laptop", "openai/clip-vit-base-patch32", "bert-base-chinese") != "laptop"
    scale = load(Scale, name)
    assert (scale.encoder, scale.pictures, scale.own_backbone, scale.own_tokenizer, scale.backbone) == (
        "openai/clip-vit-base-patch32", "clip_b32", "bert-base-chinese", "bert-base-chinese", "clear",
    )  # fmt: skip
    assert (
        Job.load("wechat_baseline", "finetune", "few", 0, name, str(made.path)).corpus.backbone == "bert-base-chinese"
    )
