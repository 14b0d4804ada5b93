"""Scales: every override sets a size of some recipe; one that sets nothing is an error that names file, key and remedy."""

import shutil

import pytest
import yaml

from lab import validate
from lib.recipes.errors import RecipeError
from lib.recipes.job import Job
from lib.recipes.load import load, names
from lib.recipes.resolve import check_assumed, check_overrides
from lib.recipes.specs import Recipe, Scale
from lib.runs import paths
from tests.forget import forget


@pytest.fixture
def params(tmp_path, monkeypatch):
    """A copy of ``params``."""
    folder = tmp_path / "params"
    shutil.copytree(paths.PROJECT / "params", folder)
    monkeypatch.setenv("VIDLAB_PARAMS", str(folder))
    forget()
    yield folder
    forget()


@pytest.fixture
def scale(params):
    """Adds overrides to the laptop scale."""

    def with_override(recipe: str, path: str, value=16) -> str:
        file = params / "scales" / "laptop.yaml"
        tree = yaml.safe_load(file.read_text())
        tree["overrides"].setdefault(recipe, {})[path] = value
        file.write_text(yaml.safe_dump(tree))
        return f"{file}: overrides.{recipe}"

    return with_override


def test_every_scale_of_the_project_passes():
    assert len(names(Scale)) >= 3
    for name in names(Scale):
        check_overrides(name)


@pytest.mark.parametrize(
    ("recipe", "path", "remedy"),
    [
        ("*", "stagez.*.data.batch_size", "no recipe has such value; did you mean 'stages.*.data.batch_size'?"),
        ("*", "stages.*.dat.batch_size", "no recipe has such value; did you mean 'stages.*.data.batch_size'?"),
        ("*", "stages.*.data.batchsize", "no recipe has such value; did you mean 'stages.*.data.batch_size'?"),
        ("*", "stages.*.batch_size", "no recipe has such value; did you mean 'stages.*.data.batch_size'?"),
        ("*", "stages.fintune.data.batch_size", "no recipe has such value; did you mean 'stages.finetune.data.batch_size'?"),
        ("*", "*.fintune.data.batch_size", "no recipe has such value; did you mean '*.finetune.data.batch_size'?"),
        ("*", "xmodel.head.dim", "no recipe has such value; did you mean 'model.head.dim'?"),
        ("*", "model.haed.dim", "no recipe has such value; did you mean 'model.head.dim'?"),
        ("*", "*.haed.dim", "no recipe has such value; did you mean '*.head.dim'?"),
        ("*", "features.txt.length", "no recipe has such value; did you mean 'features.text.length'?"),
        ("*", "features.*.lenght", "no recipe has such value; did you mean 'features.*.length'?"),
        ("*", "corpsu", "no recipe has such value; did you mean 'corpus'?"),
        ("*", "stages.*.objectives.tags.weight", "a scale sets sizes and budgets only; "),
        ("aiac_rank1", "stages.*.dta.batch_size", "aiac_rank1 has no such value; did you mean 'stages.*.data.batch_size'?"),
        ("aiac_rank1", "stages.finetun.data.epochs", "aiac_rank1 has no such value; did you mean 'stages.finetune.data.epochs'?"),
        ("aiac_rank1", "model.head.dmi", "aiac_rank1 has no such value; did you mean 'model.head.dim'?"),
        ("aiac_rank1", "model.frames.clusters", "aiac_rank1 has no such value; "),  # of NeXtVLAD, which it has not
        ("aiac_rank1", "model.head.use", "a scale sets sizes and budgets only; "),
    ],
)  # fmt: skip
def test_an_override_that_sets_nothing_is_an_error(scale, recipe, path, remedy):
    where = scale(recipe, path)
    with pytest.raises(RecipeError) as error:
        Job.load("wechat_baseline", "finetune")  # whatever recipe is asked for
    assert str(error.value).startswith(f"{where}: {path}: {remedy}")


def test_an_override_of_a_recipe_that_does_not_exist(scale):
    where = scale("aiac_rank2", "model.head.dim")
    with pytest.raises(RecipeError) as error:
        Job.load("aiac_rank1", "finetune")
    assert str(error.value) == f"{where}: no recipe has this name; did you mean 'aiac_rank6'?"


def test_the_validator_says_so_too(scale, capsys):
    where = scale("*", "stagez.*.data.batch_size")
    assert validate.main() == 1
    assert capsys.readouterr().err.startswith(f"error: {where}: stagez.*.data.batch_size: no recipe has such value")


def test_wildcards_stand_for_any_part(scale):
    scale("aiac_rank1", "stages.*.data.batch_size", 5)
    scale("aiac_rank1", "*.head.dim", 6)
    spec = Job.load("aiac_rank1", "finetune").spec
    assert spec.model.head.arguments["dim"] == 6 and load(Scale, "laptop").overrides["*"]["model.head.dim"] == 64
    assert {name: stage.data.batch_size for name, stage in spec.stages.items()}["distill"] == 5


def test_a_scale_is_like_another_where_it_says_nothing(params):
    """Own values win, also one for all recipes over the other scale's for one recipe."""
    laptop, file = load(Scale, "laptop"), params / "scales" / "own.yaml"
    own = {"about": "a", "like": "laptop", "seeds": [7], "expected_seconds": {"eda": 1}}
    own["overrides"] = {"*": {"stages.*.data.batch_size": 5}, "aiac_rank6": {"stages.pretrain.data.batch_size": 6}}
    file.write_text(yaml.safe_dump(own))
    found = load(Scale, "own")
    assert (found.seeds, found.backbone, found.corpora) == ((7,), laptop.backbone, laptop.corpora)
    assert found.expected_seconds == laptop.expected_seconds | {"eda": 1}
    for recipe, size in (("aiac_rank1", 5), ("aiac_rank6", 6)):
        spec, theirs = (Job.load(recipe, "pretrain", scale=scale).spec for scale in ("own", "laptop"))
        assert spec.stages["pretrain"].data.batch_size == size != theirs.stages["pretrain"].data.batch_size
        assert (spec.stages["finetune"].data.split, spec.model) == (theirs.stages["finetune"].data.split, theirs.model)
    file.write_text("about: a\nlike: laptop\n")
    forget()
    assert Job.load("aiac_rank1", "distill", scale="own").digest == Job.load("aiac_rank1", "distill").digest


@pytest.mark.parametrize(
    ("like", "sentence"),
    [
        ("laptpo", "like: 'laptpo': did you mean 'laptop'?"),
        ("own", "like: own -> own goes in a circle; leave `like` out of one of them"),
        ("between", "like: own -> between -> own goes in a circle; leave `like` out of one of them"),
    ],
)
def test_a_scale_like_none_or_like_itself(params, like, sentence):
    own, between = (params / "scales" / f"{name}.yaml" for name in ("own", "between"))
    own.write_text(f"about: a\nlike: {like}\n")
    between.write_text("about: a\nlike: own\n")
    with pytest.raises(RecipeError) as error:
        Job.load("aiac_rank1", "finetune", scale="own")
    assert str(error.value) == f"{between if like == 'between' else own}: {sentence}"


@pytest.mark.parametrize(
    ("file", "changes", "sentence"),
    [
        ("ablations/ema", {"recipes": ["aiac_rank2"]}, "recipes: 'aiac_rank2': did you mean 'aiac_rank6'?"),
        ("ablations/ema", {"stage": "fintune"}, "stage: aiac_rank1 has no stage: 'fintune': did you mean 'finetune'?"),
        ("ablations/ema", {"stages": {"wiht": "finetune"}}, "stages: 'wiht': did you mean 'with'?"),
        ("ablations/ema", {"stages": {"with": "distil"}}, "stages.with: aiac_rank1 has no stage: 'distil': did you mean 'distill'?"),
        ("ablations/ema", {"member": "job33"}, "member: aiac_rank1: 'job33': did you mean 'job3'?"),
        ("ablations/word_pieces", {"members": {"words": "word"}}, "members.words: wechat_rank5: 'word': did you mean 'words'?"),
        ("ensembles/aiac_rank1_jobs", {"stage": "fintune", "members": []}, "stage: aiac_rank1 has no stage: 'fintune'"),
        ("scales/laptop", {"checks": ["placbo"]}, "checks: 'placbo': did you mean 'placebo'?"),
        ("scales/emoji", {"more_seeds": {"emma": 9}}, "more_seeds: 'emma': did you mean 'ema'?"),
        ("report", {"recipes": ["aiac_rank2"]}, "recipes: 'aiac_rank2': did you mean 'aiac_rank6'?"),
        ("report", {"ablations": ["emma"]}, "ablations: 'emma': did you mean 'ema'?"),
        ("report", {"headline": ["emma"]}, "headline: 'emma': did you mean 'ema'?"),
        ("report", {"ensembles": ["aiac_rank1_job"]}, "ensembles: 'aiac_rank1_job': did you mean 'aiac_rank1_jobs'?"),
    ],
)  # fmt: skip
def test_the_validator_misses_no_name(params, capsys, file, changes, sentence):
    path = params / f"{file}.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | changes))
    assert validate.main() == 1
    assert capsys.readouterr().err.startswith(f"error: {path}: {sentence}")


def test_what_is_assumed_are_keys_of_the_recipe(params):
    for name in names(Recipe):
        check_assumed(name)
    file = params / "recipes" / "wechat_rank2.yaml"
    file.write_text(file.read_text().replace("alignment.kinds, stages", "alignment.kind, stages"))
    forget()
    with pytest.raises(
        RecipeError, match=r"rank2.yaml: assumed: U1: no key stages.*kind; did you mean '.*alignment.kinds'"
    ):
        check_assumed("wechat_rank2")


def test_how_steps_run_is_part_of_the_digest_where_it_gives_other_bits(params):
    file = params / "scales" / "laptop.yaml"

    def digest(**device) -> str:
        file.write_text(yaml.safe_dump(yaml.safe_load(file.read_text()) | {"device": device}))
        forget()
        return Job.load("aiac_rank1", "finetune").digest

    plain = digest()
    assert digest(ahead=4, save_minutes=10) == digest(accumulate=1, scoring="trained") == plain
    assert len({plain, digest(accumulate=2), digest(precision="bfloat16"), digest(scoring="float16")}) == 4
    with pytest.raises(
        RecipeError,
        match=r"laptop.yaml: device.accumulate: 7 equal parts .* stages.finetune.data.batch_size, 32; choose",
    ):
        digest(accumulate=7)
