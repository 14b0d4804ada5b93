"""From a finished run to the official numbers, as a user types it: result.csv of both WeChat recipes."""

import os
import subprocess
import sys

import numpy as np
import pytest

from lib.data.schema import CategoryTree
from lib.evaluation.metrics import mean_f1_both_ways
from lib.recipes.job import Job
from lib.runs import paths
from lib.stages.run import run

NEEDED = [("wechat_baseline", "finetune", "base")]
ROOT = paths.params().parent


def job(recipe: str, stage: str = "finetune") -> Job:
    return Job.load(recipe, stage, "base", 0, "smoke")


def typed(*words: object) -> str:
    command = [sys.executable, "-m", *map(str, words)]
    done = subprocess.run(command, env=os.environ, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "recipe, stages", [("wechat_baseline", ["finetune"]), ("wechat_rank72", ["pretrain", "finetune"])]
)
def test_a_finished_run_is_scored_with_one_command(home, recipe, stages):
    for stage in stages:
        run(job(recipe, stage))
    folder = job(recipe).folder.path
    lines = (folder / "result.csv").read_text(encoding="utf-8").splitlines()
    answered = dict(line.split(",") for line in lines)
    rows = home.rows("test_b")
    assert len(lines) == len(rows) and set(answered) == set(home.column("id")[rows]), "every test video exactly once"
    assert set(map(len, answered.values())) == {4}, "leading zeros stay"

    scored = typed("lab", "score", folder / "result.csv", folder / "truth.csv")
    printed = dict(line.split(": ") for line in scored.splitlines())
    names = home.manifest["categories"]
    guess = np.array([names.index(answered[name]) for name in home.column("id")[rows]])
    truth = home.truth()["true_category"].to_numpy()[rows]
    expected = mean_f1_both_ways(truth, guess, CategoryTree(names).level1_of_level2)
    assert printed.keys() == {"videos", *expected} and int(printed["videos"]) == len(rows)
    assert all(float(printed[name]) == pytest.approx(value, abs=1e-6) for name, value in expected.items())
    assert not (job(recipe, stages[0]).folder.path / "result.csv").exists() or stages[0] == "finetune"
