"""A plan as far as its runs are there: what a report shows while the rest is still being made."""

from contextlib import contextmanager

import pytest

from lab.show.plan import Coming
from lib.recipes.job import Job
from lib.runs.folder import MissingRun


@contextmanager
def without(*jobs: Job):
    """These runs are not there inside the block."""
    hidden = [job.folder.metrics.rename(job.folder.path / "hidden") for job in jobs]
    try:
        yield
    finally:
        for file in hidden:
            file.rename(file.with_name("metrics.json"))


def test_of_finished_runs_it_is_the_whole_plan(world):
    here = world.so_far()
    assert (here.systems, here.seeds, list(here.ablations)) == (world.systems, world.seeds, list(world.ablations))
    assert [job.folder for job in here.jobs] == [job.folder for job in world.jobs]
    assert here.coming() == [] and world.coming() == []


def test_a_question_has_its_first_seeds_or_is_left_out(world):
    arms = world.ablation_jobs("ema")["aiac_rank17", "with"]
    with without(arms[3]):
        here = world.so_far()
        assert here.seeds_of("ema") == (0, 1, 2), "a later seed is no use to a table that counts them"
        assert {len(jobs) for jobs in here.ablation_jobs("ema").values()} == {3}
        assert here.coming() == [Coming("question", "ema", 3 * 6, 5 * 6)], "two arms of three systems"
    with without(arms[0]):
        here = world.so_far()
        assert here.recipes_of("ema") == ("aiac_rank1", "wechat_baseline") and len(here.seeds_of("ema")) == 5
        assert here.coming() == [Coming("question", "ema", 20, 30)]
    with without(world.ablation_jobs("focal_tags")["aiac_rank1", "with"][0]):
        here = world.so_far()
        assert "focal_tags" not in here.ablations and "ema" in here.ablations
        assert here.coming() == [Coming("question", "focal_tags", 0, 10)]


def test_a_run_without_what_it_was_trained_from_is_not_there(world):
    """Its cost could not be told."""
    job = world.ablation_jobs("focal_tags")["aiac_rank1", "with"][1]
    with without(job.parents["init_from"]):
        assert world.so_far().seeds_of("focal_tags") == (0,)


def test_systems_seeds_models_and_ensembles_that_are_not_there_are_left_out_and_named(world):
    with without(world.job("aiac_rank1", "distill", "base", 1)):
        here = world.so_far()
        assert here.systems == world.systems and here.seeds == world.seeds
        assert here.seeds_for("aiac_rank1") == (0,) and here.seeds_for("aiac_rank17") == world.seeds
        assert {len(group) for group in here.member_jobs("aiac_rank1", "finetune").values()} == {1}
        assert Coming("question", "distill_soft", 2, 10) in here.coming()
    member = world.member_jobs("aiac_rank1", "finetune")["job3"][0]
    with without(member):
        here = world.so_far()
        assert len(here.member_jobs("aiac_rank1", "finetune")["job3"]) == 2
        assert [(c.kind, c.name) for c in here.coming()] == [("system", "aiac_rank1"), ("ensemble", "aiac_rank1_jobs")]
    with without(world.job("aiac_rank17", "finetune")):
        here = world.so_far()
        assert "aiac_rank17" not in here.systems and here.coming()[0].name == "aiac_rank17"
        assert {recipe for recipe, _ in here.ablation_jobs("ema")} == {"aiac_rank1", "wechat_baseline"}
    with without(*(world.job(name, world_stage(name)) for name in world.systems)), pytest.raises(MissingRun):
        world.so_far()


def world_stage(recipe: str) -> str:
    return {"wechat_baseline": "finetune"}.get(recipe, "pretrain")
