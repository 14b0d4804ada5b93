"""What is trained on a store: by what is there, with reasons, or a refusal that says what is missing."""

import shutil
from collections.abc import Sequence

import numpy as np
import pytest
import timm
import torch

import lib
from lab.cli import main
from lab.corpora import demo
from lab.corpora.importing import import_corpus
from lab.use import choose
from lib.data.schema import Video
from lib.data.store import Store
from lib.data.writer import StoreWriter
from lib.recipes.errors import RecipeError
from lib.recipes.job import Job
from lib.recipes.load import load
from lib.recipes.specs import FeatureSet, Scale
from lib.runs import paths
from lib.runs.files import DamagedFile
from lib.stages.build import check
from tests.forget import forget


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
            other = "0" if levels < 0 else str(1 + number % (len(categories) - 1))
            writer.add_pair("0", other, (number % abs(levels)) / abs(levels))
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
        (["a"] * 5000 + ["b"] * 5, ("wechat_baseline", "base"), "1 category has fewer than 8 videos"),
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
        ([None] * 50, 0, 3, "0 videos with a category, in 0 categories, .*a folder of videos for each"),
        (["a"] * 50, 0, 3, "50 videos with a category, in 1 category, 1 of which has more"),
        (["a", "b"] * 9 + ["held"] * 9, 0, 3, "18 videos with a category"),
        (["a"] * 49 + ["b"], 0, 3, "50 videos with a category, in 2 categories, 1 of which has more than one video"),
        ([str(n) for n in range(50)], 0, 3, "50 videos with a category, in 50 categories, 0 of which"),
        ([None] * 9, 19, 3, "19 pairs of two videos .*, with 3 scores; at least 20"),
        ([None] * 9, 60, 1, "60 pairs of two videos .*, with 1 score; "),
        ([None] * 9, 60, -3, "0 pairs of two videos"),
        (["held"] * 9, 60, 3, "0 pairs of two videos outside the test parts"),
    ],
)
def test_nothing_to_learn_from_is_said(tmp_path, categories, pairs, levels, says):
    with pytest.raises(RecipeError, match=says):
        choose.choose(store(tmp_path, categories, pairs, levels=levels))


@pytest.mark.parametrize("text", ["", "bert"])
def test_what_is_chosen_can_be_built(tmp_path, text):
    for number, made in enumerate((store(tmp_path / "c", ["a", "b"] * 20), store(tmp_path / "p", [None] * 40, 30))):
        found = choose.choose(made, text)
        assert (found.arm == "frozen") == bool(text)
        assert check(Job.load(found.recipe, "finetune", found.arm, 0, "laptop", str(made.path))) > 1000, number


@pytest.fixture
def params(tmp_path, monkeypatch):
    """Where new files of params may be written."""
    for kind in ("recipes", "ablations", "backbones", "corpora"):
        (tmp_path / "params").mkdir(exist_ok=True)
        (tmp_path / "params" / kind).symlink_to(paths.params() / kind)
    for kind in ("scales", "features"):
        shutil.copytree(paths.params() / kind, tmp_path / "params" / kind)
    monkeypatch.setenv("VIDLAB_PARAMS", str(tmp_path / "params"))
    forget()
    yield tmp_path / "params"
    forget()


def test_encoders_by_name_make_a_scale_of_their_own(tmp_path, params):
    """For one's own videos only: the language model of the generated ones stays."""
    made = store(tmp_path, ["a", "b"] * 20)
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


def test_pictures_are_as_the_encoder_was_trained_on(params):
    """By name, and in a folder whose path says clip and means nothing by it."""
    scale = load(Scale, choose.with_encoders("laptop", "tf_efficientnet_lite0.in1k", ""))
    seen = load(FeatureSet, scale.pictures).images
    assert (seen.size, seen.resize, seen.interpolation, seen.mean[0], seen.std[0]) == (
        224, 256, "bicubic", 0.5, 0.5,
    )  # fmt: skip
    folder = params.parent / "clip" / "mine"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"model_type": "vit"}')
    assert load(Scale, choose.with_encoders("laptop", str(folder), "")).pictures == "swin_tiny"
    (folder / "config.json").write_text('{"model_type": "clip"}')
    assert load(Scale, choose.with_encoders("smoke", str(folder), "")).pictures == "clip_b32"


def test_encoders_from_folders_without_network(tmp_path, params, monkeypatch, capsys):
    """Of timm and of transformers, by paths from where one stands; both stay as they are, and a small head is trained."""
    from transformers import BertConfig, BertForPreTraining

    images, text = tmp_path / "see", tmp_path / "read"
    torch.manual_seed(0)
    timm.models.save_for_hf(timm.create_model("test_vit"), images, safe_serialization=True)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "red", "blue", "ring", "##s"]
    config = BertConfig(vocab_size=len(words), hidden_size=32, num_hidden_layers=1, num_attention_heads=1, intermediate_size=32)  # fmt: skip
    BertForPreTraining(config).save_pretrained(text)
    (text / "vocab.txt").write_text("\n".join(words))
    demo.write(tmp_path / "videos", 20, seconds=1)
    made = import_corpus(tmp_path / "videos", tmp_path / "store")
    monkeypatch.setenv("VIDLAB_HOME", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.chdir(tmp_path)
    words = ["train", str(made.path), "--scale", "smoke", "--image-encoder", "./see", "--text-encoder", "read"]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert (
        "a small head on the pretrained text encoder" in said and "arm frozen" in said and "random weights" not in said
    )
    monkeypatch.chdir("/")
    model = lib.load(tmp_path / said.split("run: ")[1].splitlines()[0])
    kept = BertForPreTraining.from_pretrained(text).bert.encoder.layer[0].output.dense.weight
    assert torch.equal(model.model.text.encoder.layer[0].output.dense.weight, kept)
    assert model.job.frames.spec.images.size == 160 and len(model.embed(tmp_path / "videos" / "ring")) == 4
    for wrong in ("./nowhere", str(tmp_path / "videos")):
        with pytest.raises(FileNotFoundError, match="no config.json there"):
            choose.with_encoders("smoke", wrong, "")


@pytest.mark.parametrize("content", ["null", "[]", "<html>", ""])
@pytest.mark.parametrize("place", [0, 1])
def test_a_folder_that_holds_no_encoder_is_named_before_training(tmp_path, params, content, place):
    (tmp_path / "config.json").write_text(content)
    given = ["", ""]
    given[place] = str(tmp_path)
    with pytest.raises(DamagedFile, match=r"config.json: .*save the encoder again"):
        choose.with_encoders("smoke", *given)
