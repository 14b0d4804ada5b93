"""What a corpus of one's own allows: pictures where there are no features, and recipes of its track."""

import json

import pytest

from lib.recipes import resolve
from lib.recipes.errors import RecipeError
from lib.recipes.job import Job
from lib.recipes.load import load
from lib.recipes.specs import Ablation


def store(folder, track: str, images: bool, frame_dim: int | None) -> str:
    folder.mkdir()
    about = {"track": track, "images": images, "frame_dim": frame_dim, "fingerprint": "0"}
    (folder / "manifest.json").write_text(json.dumps(about))
    return str(folder)


@pytest.mark.parametrize("arm", ["base", "bags"])
@pytest.mark.parametrize(
    ("images", "frame_dim", "expected"), [(True, None, "pixels_small"), (True, 8, "projected"), (False, 8, "projected")]
)
def test_pictures_take_the_place_of_features_that_are_not_there(tmp_path, arm, images, frame_dim, expected):
    job = Job.load("wechat_baseline", "finetune", arm, 0, "laptop", store(tmp_path / "s", "classes", images, frame_dim))
    assert job.spec.features.frames.set == expected
    assert [ref.name for ref in job.feature_sets] == ["tokens", expected]
    assert (
        job.corpus.backbone == "small-1x64" and job.tokens.tokenizer == "corpus"
    )  # it need not speak the generated language


def test_another_track_names_the_recipes_that_fit(tmp_path):
    with pytest.raises(RecipeError, match="is a corpus of classes; recipes for it: .*wechat_baseline, .*wechat_rank72"):
        Job.load("aiac_rank1", "finetune", "base", 0, "laptop", store(tmp_path / "s", "classes", True, None))


@pytest.mark.parametrize(("images", "frame_dim"), [(True, None), (False, 8)])
def test_a_mistake_is_told_with_the_place_of_the_arm(tmp_path, monkeypatch, images, frame_dim):
    """What the corpus lays over a recipe is no place that a user could mend."""
    asked = load(Ablation, "ema")
    wrong = asked.model_copy(update={"arms": {**asked.arms, "with": {"stages.finetune.ema": {"decay": 2}}}})
    monkeypatch.setattr(resolve, "load", lambda kind, name: wrong if name == "ema" else load(kind, name))
    corpus = store(tmp_path / "s", "classes", images, frame_dim)
    with pytest.raises(RecipeError, match="^params/ablations/ema.yaml: arms.with: stages.finetune.ema.decay: "):
        Job.load("wechat_baseline", "finetune", "ema.with", 0, "laptop", corpus)
