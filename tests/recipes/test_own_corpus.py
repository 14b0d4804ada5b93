"""What a corpus of one's own allows: pictures where there are no features, and recipes of its track."""

import json

import pytest

from lab.flow.forecast import notes
from lab.show.plan import Plan
from lib.recipes import resolve
from lib.recipes.errors import RecipeError
from lib.recipes.job import Job, main_stages
from lib.recipes.load import load
from lib.recipes.specs import Ablation


def store(folder, track: str, images: bool, frame_dim: int | None, **more) -> str:
    folder.mkdir()
    about = {"track": track, "images": images, "frame_dim": frame_dim, "fingerprint": "0", "categories": ["a", "b"]}
    about["counts"] = {"videos": 60, "pairs": 60, "scores": 9}
    (folder / "manifest.json").write_text(json.dumps(about | more))
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


@pytest.mark.parametrize(
    ("recipe", "about", "words"),
    [
        ("wechat_baseline", {"categories": None}, "has no categories"),
        ("wechat_baseline", {"categories": ["a/b"]}, r"has one category \(a/b\)"),
        ("aiac_rank1", {"counts": {"pairs": 0}}, "has no pairs"),
        ("aiac_rank6", {"counts": {"pairs": 9, "scores": 1}}, "has one score for all pairs"),
    ],
)
def test_labels_from_which_nothing_can_be_learnt(tmp_path, recipe, about, words):
    track = "classes" if "categories" in about else "pairs"
    with pytest.raises(RecipeError, match=words):
        Job.load(recipe, "finetune", scale="laptop", corpus=store(tmp_path / "s", track, False, 8, **about))


@pytest.mark.parametrize("recipe", ["aiac_rank1", "aiac_rank6"])
def test_stages_on_tags_are_left_out_where_there_are_none(tmp_path, recipe):
    """Also that from which another would start; said before anything runs."""
    with_tags, without = (store(tmp_path / f"s{n}", "pairs", False, 8, tags=tags) for n, tags in enumerate(([7], None)))
    jobs = [Job.load(recipe, "finetune", scale="laptop", corpus=corpus) for corpus in (with_tags, without)]
    assert [list(job.parents) for job in jobs] == [["init_from"], []]
    assert main_stages(recipe, "laptop", with_tags) == ["pretrain", "finetune", "distill"]
    assert main_stages(recipe, "laptop", without) == ["finetune", "distill"]
    told = [list(notes(Plan.load("laptop", corpus, [recipe]))) for corpus in (with_tags, without)]
    assert f"{recipe}: without pretrain, as no video" in told[1][0] and "without" not in " ".join(told[0])
    assert any("updates on 60 pairs are too few" in note for note in told[1])


@pytest.mark.parametrize(("images", "left"), [(True, []), (False, ["wechat_rank3"])])
def test_a_system_that_learns_from_pictures_is_left_out_where_there_are_none(tmp_path, images, left):
    corpus = store(tmp_path / "s", "classes", images, 8)
    plan = Plan.load("laptop", corpus)
    assert [note.partition(":")[0] for note in notes(plan) if "left out" in note] == left
    assert {"wechat_rank3", "wechat_baseline"} - set(plan.systems) == set(left)
    assert ("frame_encoder" in plan.ablations) == images and "ema" in plan.ablations


def test_such_a_system_that_is_asked_for_says_so(tmp_path):
    with pytest.raises(RecipeError, match="recipe wechat_rank3 learns from pictures, of which corpus .* has none"):
        next(iter(Plan.load("laptop", store(tmp_path / "s", "classes", False, 8), ["wechat_rank3"]).jobs))
    with pytest.raises(RecipeError, match="QUESTIONS: frame_encoder is about pictures, of which corpus .* has none"):
        Plan.load("laptop", str(tmp_path / "s"), questions=["ema", "frame_encoder"])


@pytest.mark.parametrize(("images", "frame_dim"), [(True, None), (False, 8)])
def test_a_mistake_is_told_with_the_place_of_the_arm(tmp_path, monkeypatch, images, frame_dim):
    """What the corpus lays over a recipe is no place that a user could mend."""
    asked = load(Ablation, "ema")
    wrong = asked.model_copy(update={"arms": {**asked.arms, "with": {"stages.finetune.ema": {"decay": 2}}}})
    resolve.resolved.cache_clear()
    monkeypatch.setattr(resolve, "load", lambda kind, name: wrong if name == "ema" else load(kind, name))
    corpus = store(tmp_path / "s", "classes", images, frame_dim)
    with pytest.raises(RecipeError, match="^params/ablations/ema.yaml: arms.with: stages.finetune.ema.decay: "):
        Job.load("wechat_baseline", "finetune", "ema.with", 0, "laptop", corpus)
