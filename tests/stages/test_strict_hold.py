"""Pairs held out of folds, strictly: training, selection and scored pairs share no video; the scored pairs stay the same."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from lib.data.splits import Split
from lib.recipes.errors import RecipeError
from lib.recipes.job import Job
from lib.recipes.load import load, validate
from lib.recipes.specs import Ablation
from lib.stages.problem import split_pairs


@pytest.fixture(scope="module")
def pairs() -> SimpleNamespace:
    """400 pairs of 600 videos: hubs, chains and loners, as a store gives them."""
    rng = np.random.default_rng(5)
    first, second = rng.integers(0, 600, (2, 400))
    second = np.where(first == second, (second + 1) % 600, second)
    table = pd.DataFrame({"row1": first, "row2": second, "score": rng.random(400)})
    ids = np.array([str(7000 + row) for row in range(600)])
    return SimpleNamespace(pairs=lambda: table, column=lambda name: ids, parts=["pairwise"])


def parts(arm, pairs, stage="finetune", recipe="aiac_rank6"):
    split = split_pairs(Job.load(recipe, stage, arm, 0, "laptop"), pairs)
    return split.pairs, split.train, split.select, split.val


@pytest.mark.parametrize("arm", ["strict_hold.strict", "strict_split"])
@pytest.mark.parametrize("fold", [0, 1, 2])
def test_no_video_is_in_two_parts(pairs, arm, fold):
    for stage in ("finetune", "distill") if arm == "strict_split" else ("finetune",):
        rows, train, select, val = parts(f"{arm}@{fold}", pairs, stage)
        assert train.sum() > 30 and select.any() and val.any()
        for left, right in ((train, val), (select, val), (train, select)):
            assert Split(left, right).leak(*rows.T) == 0


def test_arms_are_scored_on_the_same_pairs_and_the_others_leak(pairs):
    leaks = {}
    for arm in load(Ablation, "strict_hold").arms:
        rows, train, select, val = parts(f"strict_hold.{arm}", pairs)
        assert np.array_equal(val, parts("base", pairs)[3])
        leaks[arm] = [Split(train, part).leak(*rows.T) > 0 for part in (val, select)]
    assert leaks == {"published": [True, True], "fewer": [True, True], "held": [False, True], "strict": [False, False]}


@pytest.mark.parametrize(
    "question, control, leaves_out", [("strict_hold", "fewer", "held"), ("strict_split", "fewer", "strict")]
)
def test_the_control_trains_and_selects_on_as_many_pairs(pairs, question, control, leaves_out):
    recipe = load(Ablation, question).recipes[0]
    rows, *ours, val = parts(f"{question}.{control}", pairs, recipe=recipe)
    _, *theirs, same = parts(f"{question}.{leaves_out}", pairs, recipe=recipe)
    assert np.array_equal(val, same) and [mask.sum() for mask in ours] == [mask.sum() for mask in theirs]
    leaks = [Split(train, val).leak(*rows.T) for train in (ours[0], theirs[0])]
    assert leaks[0] > leaks[1] == 0


def test_arm_and_variant_are_one_run():
    names = "strict_hold.strict", "strict_split"
    arm, variant = (Job.load("aiac_rank6", "finetune", name, 0, "laptop") for name in names)
    assert arm.digest == variant.digest and arm.folder.path == variant.folder.path


def test_strict_names_an_arm():
    tree = load(Ablation, "strict_hold").model_dump() | {"strict": "stern"}
    with pytest.raises(RecipeError, match="strict: 'stern' is not an arm; arms: published, fewer, held, strict"):
        validate(Ablation, tree, "x.yaml")
