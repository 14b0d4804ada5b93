"""Checks with a known answer: when they pass, and a laboratory that finds effects where there are none does not."""

from __future__ import annotations

import subprocess
import sys

import pandas as pd
import pytest

from lab.show import pages_checks
from lab.show.answers import Answer, answer
from lab.show.plan import Plan
from lib.evaluation.compare import HELPS, HURTS, NOTHING, compare
from lib.recipes import job as jobs
from lib.recipes.load import load
from lib.recipes.specs import Ablation
from lib.runs import paths


def answered(name: str, verdicts: list[str]) -> Answer:
    frame = pd.DataFrame(
        {"recipe": "aiac_rank1", "arm": [f"arm{k}" for k in range(len(verdicts))], "is_reference": False, "metric": "spearman",
         "verdict": verdicts, "difference": 0.1, "low": 0.05, "high": 0.15}
    )  # fmt: skip
    return Answer(name, load(Ablation, name), frame, {}, pd.DataFrame())


def test_how_many_false_verdicts_are_allowed():
    """Of 20 at 2.5 % each way: none with 60 %, at most one with 91 %, at most two with 99 %."""
    assert [pages_checks.allowed(arms) for arms in (1, 2, 20, 200)] == [0, 0, 2, 9]


@pytest.mark.parametrize(("helps", "hurts", "passed"), [(0, 0, True), (2, 2, True), (3, 0, False), (0, 3, False)])
def test_a_placebo_may_be_lucky_twice(helps, hurts, passed):
    verdicts = [HELPS] * helps + [HURTS] * hurts + [NOTHING] * (20 - helps - hurts)
    found, sentence = pages_checks.result(answered("placebo", verdicts))
    assert found is passed and ("the rule holds" in sentence) is passed
    assert f"{helps or 'none'} came out as a help and {hurts or 'none'} as a harm" in sentence


def test_a_planted_effect_must_be_found():
    assert pages_checks.result(answered("planted", [HELPS])) == (
        True, "aiac_rank1: helps, +0.1000 (95 % interval +0.0500 to +0.1500): the effect was found."
    )  # fmt: skip
    for verdict in (NOTHING, HURTS):
        assert not pages_checks.result(answered("planted", [verdict]))[0]


def test_the_planted_effect_is_one_of_the_generator():
    """All arms on a corpus that was asked to hide something, with the same training but for what is read of a title."""
    groups = Plan.load("laptop").ablation_jobs("planted")
    jobs = [job for arm in groups.values() for job in arm]
    assert {arm for _, arm in groups} == {"without", "with"} and len({job.seed for job in jobs}) * 2 == len(jobs)
    assert {"blank_start", "blank_titles"} <= set.intersection(*(set(job.corpus.arguments) for job in jobs))
    assert {tuple(job.parents) for job in jobs} == {()} and len({job.stage_spec.model_dump_json() for job in jobs}) == 1
    assert len({job.spec.features.text.length for job in jobs}) == 2


def test_placebo_arms_are_compared_with_the_one_before(world):
    found = answer(world, "placebo")
    scores = {arm: group["score"].to_numpy() for arm, group in found.runs.groupby("arm")}
    rows = found.comparisons.set_index("arm")
    assert rows.loc["luck01", "difference"] == pytest.approx((scores["luck01"] - scores["without"]).mean())
    by_hand = compare(scores["luck07"], scores["luck06"])
    assert rows.loc["luck07", ["difference", "low", "high"]].tolist() == pytest.approx(by_hand[:3])


@pytest.mark.slow
def test_this_laboratory_passes_its_checks(monkeypatch):
    """Trains what is missing in this clone's ``runs/``: some ten minutes on two cores, nothing after `make reproduce`."""
    monkeypatch.delenv("VIDLAB_HOME", raising=False)
    for name in ("MAKEFLAGS", "MAKELEVEL"):
        monkeypatch.delenv(name, raising=False)
    command = [sys.executable, "-m", "lab", "reproduce", "ablation/placebo", "ablation/planted"]
    done = subprocess.run(command, cwd=paths.PROJECT, capture_output=True, text=True, timeout=7200, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    jobs._load.cache_clear()
    for name in ("placebo", "planted"):
        passed, sentence = pages_checks.result(answer(Plan.load("laptop"), name))
        assert passed, sentence
