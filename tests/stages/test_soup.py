"""Model soups: the mean weights of runs that differ in their seed, scored without a step of training."""

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file

from lib.recipes.job import Job
from lib.recipes.specs import StageSpec
from lib.stages.run import run

NEEDED = [("aiac_rank1", "finetune_soup", "soup.uniform")]


def _soup(kind: str) -> Job:
    return Job.load("aiac_rank1", "finetune_soup", f"soup.{kind}", 0, "smoke")


@pytest.fixture(scope="module", autouse=True)
def trained(home):
    """Everything that a soup starts from: one pretraining, three finetunings."""
    one = _soup("uniform")
    run(one.ingredients[0].parents["init_from"])
    for ingredient in one.ingredients:
        run(ingredient)


def test_runs_of_a_soup_share_their_pretraining_and_nothing_is_trained_twice():
    uniform, greedy = _soup("uniform"), _soup("greedy")
    assert [parent.seed for parent in uniform.ingredients] == [0, 100, 200]
    assert list(uniform.parents) == ["init_from_0", "init_from_1", "init_from_2"]
    assert len({parent.parents["init_from"].folder.path for parent in uniform.ingredients}) == 1
    assert [p.folder.path for p in uniform.ingredients] == [p.folder.path for p in greedy.ingredients]
    assert uniform.folder.path != greedy.folder.path


def test_a_uniform_soup_is_the_mean_of_its_runs():
    folder = run(_soup("uniform"))
    members = [load_file(parent.folder.weights) for parent in _soup("uniform").ingredients]
    found = load_file(folder.weights)
    for name, tensor in found.items():
        mean = sum(member[name].double() for member in members) / 3
        assert torch.equal(tensor, mean.to(tensor.dtype)), name
    metrics = folder.read_metrics()
    assert (metrics["steps"], metrics["best_step"], metrics["soup_of_seeds"]) == (0, 0, [0, 100, 200])
    first = folder.metrics.read_bytes()
    assert run(_soup("uniform"), again=True).metrics.read_bytes() == first


def test_a_greedy_soup_is_never_worse_than_its_best_run():
    folder = run(_soup("greedy"))
    metrics, select = folder.read_metrics(), "mse"
    alone = {p.seed: p.folder.read_metrics()["scores"]["validation"][select] for p in _soup("greedy").ingredients}
    assert metrics["soup_of_seeds"][0] == min(alone, key=lambda seed: alone[seed])
    assert metrics["scores"]["validation"][select] <= min(alone.values()) + 1e-6


def test_a_soup_needs_runs_to_start_from():
    plain = load_stage().model_dump()
    with pytest.raises(ValidationError, match="soup: the stage needs init_from"):
        StageSpec(**{**plain, "init_from": None})
    with pytest.raises(ValidationError, match="epochs: 0 is for a stage that is a soup"):
        StageSpec(**{**plain, "soup": None})
    with pytest.raises(ValidationError, match="has no min_steps"):
        StageSpec(**{**plain, "data": {**plain["data"], "min_steps": 3}})


def load_stage() -> StageSpec:
    return _soup("uniform").stage_spec
