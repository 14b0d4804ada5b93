"""``vidlab explain``: a value of a job, its place in ``params/``, and what it was before, oldest first."""

import pytest

from lab import cli
from lab.explain import explain
from lib.recipes.errors import RecipeError
from lib.recipes.job import Job

RECIPE, LAPTOP, SMOKE = "params/recipes/aiac_rank1.yaml", "params/scales/laptop.yaml", "params/scales/smoke.yaml"


def one(*arguments, **more):
    (found,) = explain("aiac_rank1", *arguments, **more)
    return found


def test_a_scale_overrides_the_recipe():
    found = one("finetune", "model.head.dim")
    assert found.chain == ((256, f"{RECIPE}: model.head.dim"), (64, f"{LAPTOP}: overrides.*: model.head.dim"))
    assert found.value == Job.load("aiac_rank1", "finetune").spec.model.head.arguments["dim"]


def test_a_key_of_the_stage_and_the_whole_key_are_the_same():
    short, long = (
        one("finetune", key, scale="smoke") for key in ("data.batch_size", "stages.finetune.data.batch_size")
    )
    assert short == long and short.origin == f"{SMOKE}: overrides.*: stages.*.data.batch_size" and short.value == 16


def test_recipe_overrides_come_after_those_for_all_and_the_arm_last():
    length = one("finetune", "features.text.length")
    assert [where.split(": ")[1] for _, where in length.chain[1:]] == ["overrides.*", "overrides.aiac_rank1"]
    assert [value for value, _ in length.chain] == [36, 36, 24]
    layout = one("pretrain", "objectives.tags.input", arm="job2")
    assert layout.chain[-1] == ("embedding", f"{RECIPE}: variants.job2: stages.pretrain.objectives.tags.input")
    arm = one("finetune", "ema", arm="ema.with")  # null becomes a mapping: its leaves
    assert arm.key == "stages.finetune.ema.horizon" and arm.origin.startswith("params/ablations/ema.yaml: arms.with: ")


def test_defaults_of_a_spec_and_of_a_component_say_so():
    assert one("finetune", "data.min_steps").chain == ((0, "default"),)
    assert one("finetune", "model.pooling.include_padding").chain == ((False, "default of MeanPool"),)


def test_what_a_scale_replaces_when_the_model_is_built_is_the_last_word():
    assert one("finetune", "model.text.backbone").chain[-1] == ("clear", f"{LAPTOP}: backbone")
    assert one("finetune", "corpus").chain[-1] == ("twin_pairs", f"{LAPTOP}: corpora.aiac2021")
    assert one("finetune", "optimizer.lr.backbone").value == 2e-3  # a rate, not a backbone


def test_a_scale_that_is_like_another_names_the_file_of_each():
    emoji = "params/scales/emoji.yaml"
    assert one("finetune", "model.head.dim", scale="emoji").origin == f"{LAPTOP}: overrides.*: model.head.dim"
    size = one("pretrain", "data.batch_size", scale="emoji").chain
    own = f"{emoji}: overrides.*: stages.*.data.batch_size"
    assert size[1:] == ((128, f"{LAPTOP}: overrides.aiac_rank1: stages.pretrain.data.batch_size"), (32, own))
    assert one("finetune", "model.text.backbone", scale="emoji").origin == f"{emoji}: backbone"


def test_a_mapping_is_all_leaves_below_it_as_the_job_has_them():
    found = {item.key: item.value for item in explain("aiac_rank1", "finetune", "stages.finetune.data")}
    spec = Job.load("aiac_rank1", "finetune").to_dict()["stage"]["data"]
    assert found["stages.finetune.data.split.k"] == spec["split"]["k"] == 3
    assert {key.split(".")[3] for key in found} == set(spec)


def test_a_fold_is_named():
    (fold,) = explain("wechat_rank72", "finetune", "data.split.fold", arm="base@2")
    assert fold.value == 2 and fold.origin.endswith(": fold 2")
    own = one("finetune", "data.split.fold", scale="emoji", seed=3)
    assert own.chain[-1] == (3, "params/scales/emoji.yaml: folds: per_seed: seed 3")
    (fold,) = explain("wechat_rank72", "finetune", "data.split.fold", arm="base@2", scale="emoji", seed=3)
    assert fold.value == 2


@pytest.mark.parametrize(
    ("key", "nearest"),
    [
        ("model.haed.dim", "model.head.dim"),
        ("data.batchsize", "data.batch_size"),
        ("model.pooling.include_paddings", "model.pooling.include_padding"),
    ],
)
def test_an_unknown_key_names_the_nearest(key, nearest):
    with pytest.raises(RecipeError, match=f"aiac_rank1 finetune: no key '{key}'; did you mean '{nearest}'"):
        explain("aiac_rank1", "finetune", key)


def test_the_command_prints_value_place_and_chain(capsys):
    assert cli.main(["explain", "aiac_rank1", "finetune", "model.head.dim", "--scale", "smoke"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"model.head.dim = 16  from {SMOKE}: overrides.*: model.head.dim",
        f"    256  {RECIPE}: model.head.dim",
        f"    16  {SMOKE}: overrides.*: model.head.dim",
    ]
    assert cli.main(["explain", "aiac_rank1", "finetune", "nothing.at.all"]) == 1
    assert capsys.readouterr().err.startswith("error: aiac_rank1 finetune: no key 'nothing.at.all'")


def test_how_a_scale_runs_its_steps():
    found = {one.key: one for one in explain("aiac_rank1", "finetune", "device")}
    assert found["device.accumulate"].value == 1 and found["device.accumulate"].origin == "default"
    assert len(found) == len(Job.load("aiac_rank1", "finetune").device.model_dump())
    (minutes,) = explain("aiac_rank1", "finetune", "device.save_minutes", scale="full")
    assert (minutes.value, minutes.origin) == (10, "params/scales/full.yaml: device.save_minutes")
    with pytest.raises(RecipeError, match=r"laptop: no key 'device.acumulate'; did you mean 'device.accumulate'"):
        explain("aiac_rank1", "finetune", "device.acumulate")
