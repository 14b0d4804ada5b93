"""Tricks switched on by name in a stage: counts of the training part, corrected logits, errors that say what to do."""

import json

import numpy as np
import pytest
from pydantic import ValidationError

from lib.data.store import Store
from lib.evaluation import CountRescaling
from lib.recipes.job import Job
from lib.recipes.specs import DataSpec, StageSpec
from lib.stages.build import build_averaging, build_schedule, check
from lib.stages.problem import make_problem
from lib.stages.run import run, updates
from lib.training.averaging import WeightEma, WeightSwa
from lib.training.schedule import ConstantTail, WarmupLinear

NEEDED = [("wechat_baseline", "finetune", "base")]


def _job(arm="base", recipe="wechat_baseline", stage="finetune"):
    return Job.load(recipe, stage, arm, 0, "smoke")


ARMS = ["adversarial_kinds.awp", "swa.constant", "r_drop.with", "category_losses.class_balanced", "mixup.with"]


@pytest.mark.parametrize("arm", ARMS)
def test_an_arm_trains_and_is_the_same_twice(home, arm):
    folder = run(_job(arm))
    first = folder.metrics.read_bytes()
    terms = next(row["terms"] for row in folder.history.rows() if "terms" in row)
    assert set(terms) == {"category"} | ({"agreement"} if arm == "r_drop.with" else set())
    assert all(np.isfinite(value) and value > 0 for value in terms.values())
    assert run(_job(arm), again=True).metrics.read_bytes() == first
    assert folder.metrics.read_bytes() != run(_job()).metrics.read_bytes()


def test_corrections_act_on_what_is_kept_and_judged(home):
    """Same weights at the last step, other logits: those of the plain run with 1 + 10 / n."""
    plain, rescaled = run(_job()), run(_job("rescaling.with"))
    problem = make_problem(_job(), Store.open(_job().corpus.store))
    metrics = json.loads(rescaled.metrics.read_text())
    assert json.loads(plain.metrics.read_text())["best_step"] == metrics["best_step"]  # one evaluation at this scale
    expected = CountRescaling(problem.class_counts)(plain.read_arrays(plain.predictions)["logits"])
    np.testing.assert_array_equal(rescaled.read_arrays(rescaled.predictions)["logits"], expected)
    arrays = rescaled.read_arrays(rescaled.predictions)
    accuracy = (arrays["logits"].argmax(axis=1) == arrays["truth"]).mean()
    assert metrics["scores"]["validation"]["lv2_f1_micro"] == pytest.approx(accuracy)


@pytest.mark.parametrize("recipe", ["wechat_baseline", "wechat_rank72"])
def test_counts_are_those_of_the_training_part_before_repeats(home, recipe):
    one = _job(recipe=recipe)
    store = Store.open(one.corpus.store)
    problem, labels = make_problem(one, store), store.categories().astype(int)
    seen = np.unique(problem.train.rows)
    assert len(problem.class_counts) == len(store.manifest["categories"])
    np.testing.assert_array_equal(problem.class_counts, np.bincount(labels[seen], minlength=len(problem.class_counts)))
    assert not np.isin(problem.rows, seen).any()


@pytest.mark.parametrize(
    "settings, repeats, expected",
    [
        ({}, 1.0, 300),  # three epochs of 100 updates
        ({"min_steps": 400}, 1.0, 400),
        ({}, 2.0, 300),  # 50 updates without repeats make 100 with them: as many epochs
        ({"min_steps": 250}, 2.0, 500),  # 250 without repeats are five epochs of 50, and five of 100 are 500
        ({"resample_steps": "same"}, 2.0, 150),
        ({"resample_steps": "same", "min_steps": 250}, 2.0, 250),
        ({"epochs": 0.001}, 1.0, 1),
        ({"epochs": 0}, 1.0, 0),
    ],
)
def test_repeats_keep_the_epochs_or_the_updates(settings, repeats, expected):
    assert updates(DataSpec(**{"batch_size": 8, "epochs": 3} | settings), 100, repeats) == expected


def _stage(**changes):
    spec = _job().stage_spec.model_dump()
    spec["evaluation"] |= changes.pop("evaluation", {})
    return StageSpec.model_validate(spec | changes)


def test_what_a_stage_asks_for():
    assert build_averaging(_stage(), 40, 10) is None and isinstance(build_schedule(_stage(), 40, 10), WarmupLinear)
    ema = build_averaging(_stage(ema={"decay": 0.9}), 40, 10)
    assert isinstance(ema, WeightEma) and (ema.decay, ema.corrected) == (0.9, True)
    ema = build_averaging(_stage(ema={"horizon": 0.25, "correction": "none"}), 40, 10)  # the last ten updates
    assert isinstance(ema, WeightEma) and (ema.decay, ema.corrected) == (0.9, False)
    swa = build_averaging(_stage(swa={"start": 0.5}), 40, 10)
    assert isinstance(swa, WeightSwa) and (swa.begin, swa.every, swa.buffers) == (0.5, 10, False)
    tail = build_schedule(_stage(swa={"start": 0.5, "lr_factor": 0.1}), 40, 10)
    assert isinstance(tail, ConstantTail) and tail.multiplier(19) > 0.1 == tail.multiplier(20)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"ema": {"decay": 0.9}, "swa": {}}, "set ema: null or swa: null"),
        ({"swa": {"start": 1.0}}, "less than 1"),
        ({"swa": {"lr_factor": 0.0}}, "greater than 0"),
        ({"evaluation": {"select": "loss", "postprocess": [{"use": "LogitAdjustment"}]}}, "leave it out, or select"),
    ],
)
def test_impossible_stages(changes, message):
    with pytest.raises(ValidationError, match=message):
        _stage(**changes)


def test_agreement_of_embeddings_is_refused_before_training():
    one = Job.load("aiac_rank1", "finetune", "base", 0, "smoke")
    stage = one.stage_spec.model_dump()
    stage["objectives"]["agreement"] = {"use": "RDrop", "weight": 1.0}
    tree = one.spec.model_dump()
    tree["stages"]["finetune"] = stage
    changed = Job(one.recipe, one.stage, one.arm, 0, one.scale, one.corpus_given, type(one.spec).model_validate(tree))
    with pytest.raises(ValueError, match="this corpus has none"):
        check(changed)
