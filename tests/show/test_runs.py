"""Rows of runs and of systems from run folders, against values worked out here."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from lab.show import comparisons, runs
from lib.runs.folder import MissingRun


def test_a_row_holds_what_the_run_left(world):
    job = world.job("aiac_rank1", "finetune", "base", 1)
    metrics = json.loads(job.folder.metrics.read_text())
    row = runs.rows([job]).iloc[0]
    value = metrics["scores"]["validation"]["spearman"]
    assert (row["recipe"], row["stage"], row["arm"], row["seed"]) == ("aiac_rank1", "finetune", "base", 1)
    assert (row["metric"], row["score"], row["unseen"]) == ("spearman", value, metrics["scores"]["unseen"]["spearman"])
    assert [row["low"], row["high"]] == metrics["intervals"]["spearman"]
    assert (row["train_items"], row["scored_items"], row["steps"], row["best_step"]) == (200, 120, 80, 60)
    assert row["scored_on"] == "validation"
    assert (row["seconds"], row["samples_per_second"], row["peak_rss_mb"]) == (12.5, 640.0, 512.0)
    assert (row["digest"], row["commit"], row["torch"], row["dirty"]) == (job.digest, "abcdef123456", "2.6.0", False)


def test_stale_run_is_an_error(world):
    job = world.job("wechat_baseline", "finetune")
    before = json.loads(job.folder.metrics.read_text())
    job.folder.finish(before | {"digest": "0" * 16})
    try:
        with pytest.raises(MissingRun, match="other settings or code"):
            runs.systems(world)
    finally:
        job.folder.finish(before)


def test_means_over_seeds_by_hand(world):
    everything = runs.systems(world)
    members = everything[everything["arm"] != "base"]
    assert members.groupby("recipe").size().to_dict() == {"aiac_rank1": 10, "aiac_rank17": 1}
    assert set(members["seeds"]) == {3}
    board = everything[everything["arm"] == "base"].set_index(["recipe", "stage"])
    assert list(board.index) == [
        ("aiac_rank1", "finetune"), ("aiac_rank1", "distill"), ("aiac_rank17", "finetune"), ("wechat_baseline", "finetune"),
    ]  # fmt: skip
    frame = runs.rows(world.job("aiac_rank1", "finetune", "base", seed) for seed in world.seeds)
    row = board.loc["aiac_rank1", "finetune"]
    assert row["score"] == pytest.approx(frame["score"].mean()) and row["sd"] == pytest.approx(
        np.std(frame["score"], ddof=1)
    )
    for name in ("low", "high", "unseen"):
        assert row[name] == pytest.approx(frame[name].astype(float).mean())
    assert row["scores"].split() == [str(score) for score in frame["score"]]
    assert row["published"] == "0.886031 (validation); 0.836 (test)"


def test_cost_of_a_system_is_the_sum_of_its_stages_in_the_mean_of_its_seeds(world):
    """Stages of one seed are added up, seeds are averaged: 12.5 s each, one pretraining took longer."""
    job = world.job("aiac_rank1", "pretrain", "base", 1)
    before = job.folder.timing.read_text()
    job.folder.timing.write_text(json.dumps(json.loads(before) | {"seconds": 42.5}))
    try:
        board = runs.systems(world).set_index(["recipe", "stage", "arm"])
    finally:
        job.folder.timing.write_text(before)
    assert board.loc[("aiac_rank1", "finetune", "base"), "total_seconds"] == pytest.approx(25.0 + 30 / len(world.seeds))
    assert board.loc[("aiac_rank1", "distill", "base"), "total_seconds"] == pytest.approx(37.5 + 30 / len(world.seeds))
    assert board.loc[("aiac_rank1", "finetune", "base"), "seconds"] == 12.5


def test_cost_of_seeds_whose_chains_differ_in_length(world, monkeypatch):
    """A seed that validates on another fold has a pretraining of its own in each: 12.5 s for it, 25 s for the others."""
    whole = runs.lineage
    monkeypatch.setattr(runs, "lineage", lambda job: [job] if job.seed == 1 else whole(job))
    board = runs.systems(world).set_index(["recipe", "stage", "arm"])
    mean = (12.5 + 25.0 * (len(world.seeds) - 1)) / len(world.seeds)
    assert board.loc[("aiac_rank1", "finetune", "base"), "total_seconds"] == pytest.approx(mean)


def test_the_part_that_a_score_is_read_on(world, monkeypatch):
    """With a test part the score is that of the test part; a question on how validation is cut reads validation all the same."""
    before = runs.metrics_of

    def with_test_part(job):
        found = before(job)
        primary = found["primary"]
        test = {primary: found["scores"]["validation"][primary] / 2}
        return found | {"scores": found["scores"] | {"test": test}, "items": found["items"] | {"test": 9000}}

    jobs = world.ablation_jobs("strict_split")["aiac_rank1", "strict"]
    plain = runs.rows(jobs)
    asked = comparisons.of_question(world, "strict_split")
    monkeypatch.setattr(runs, "metrics_of", with_test_part)
    test, validation = runs.rows(jobs), runs.rows(jobs, "validation")
    assert test["score"].tolist() == pytest.approx((plain["score"] / 2).tolist())
    assert set(test["scored_on"]) == {"test"} and set(test["scored_items"]) == {9000}
    assert validation["score"].tolist() == plain["score"].tolist() and set(validation["scored_items"]) == {120}
    assert validation[["low", "high", "oracle"]].isna().all().all() and test["low"].tolist() == plain["low"].tolist()
    assert comparisons.of_question(world, "strict_split")["score"].tolist() == asked["score"].tolist()
    assert runs.systems(world)["strict"].isna().all()


def test_strict_score_is_that_of_the_arm_that_a_question_names(world):
    board = runs.systems(world).set_index(["recipe", "stage", "arm"])
    strict = runs.rows(world.ablation_jobs("strict_split")["aiac_rank1", "strict"])["score"].mean()
    assert board.loc[("aiac_rank1", "finetune", "base"), "strict"] == pytest.approx(strict)
    others = board.drop(index=[("aiac_rank1", "finetune", "base"), ("aiac_rank17", "finetune", "base")])
    assert others["strict"].isna().all()


def test_lineage_names_ancestors_first_and_each_once(world):
    job = world.job("aiac_rank1", "distill")
    assert [parent.stage for parent in runs.lineage(job)] == ["pretrain", "finetune", "distill"]


def test_mixed_commits_are_told():
    frame = pd.DataFrame({"commit": ["a", "b"], "device": ["cpu", "cpu"], "torch": ["2", "2"]})
    assert "commits a, b" in runs.mixed(frame)
    assert runs.mixed(frame.head(1)) == ""
