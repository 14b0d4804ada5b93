"""From a finished run to the official numbers, as a user types it: result.csv of both WeChat recipes."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from lab.corpora import importing as corpus
from lib.data.store import Store
from lib.data.vocabulary import CategoryTree
from lib.evaluation.metrics import mean_f1_both_ways
from lib.recipes import job as jobs
from lib.recipes.job import Job
from lib.runs import paths
from lib.stages.feature_sets import build
from lib.stages.run import run

ROOT = paths.params().parent


def job(recipe: str, stage: str = "finetune") -> Job:
    return Job.load(recipe, stage, "base", 0, "smoke")


def typed(*words: object) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *map(str, words)], env=os.environ, cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    patch = pytest.MonkeyPatch()
    patch.setenv("VIDLAB_HOME", str(tmp_path_factory.mktemp("home")))
    jobs._load.cache_clear()
    one = job("wechat_baseline")
    corpus.build(one.corpus.name, "smoke")
    opened = Store.open(one.corpus.store)
    build(opened, one.tokens)
    yield opened
    patch.undo()
    jobs._load.cache_clear()


@pytest.mark.parametrize(
    "recipe, stages", [("wechat_baseline", ["finetune"]), ("wechat_rank72", ["pretrain", "finetune"])]
)
def test_a_finished_run_is_scored_with_one_command(store, recipe, stages):
    for stage in stages:
        run(job(recipe, stage))
    folder = job(recipe).folder.path
    lines = (folder / "result.csv").read_text(encoding="utf-8").splitlines()
    answered = dict(line.split(",") for line in lines)
    rows = store.rows("test_a")
    assert len(lines) == len(rows) and set(answered) == set(store.column("id")[rows]), "every test video exactly once"
    assert set(map(len, answered.values())) == {4}, "leading zeros stay"

    printed = dict(
        line.split(": ") for line in typed("lab", "score", folder / "result.csv", folder / "truth.csv").splitlines()
    )
    names = store.manifest["categories"]
    guess = np.array([names.index(answered[name]) for name in store.column("id")[rows]])
    truth = store.truth()["true_category"].to_numpy()[rows]
    expected = mean_f1_both_ways(truth, guess, CategoryTree(names).level1_of_level2)
    assert printed.keys() == {"videos", *expected} and int(printed["videos"]) == len(rows)
    assert all(float(printed[name]) == pytest.approx(value, abs=1e-6) for name, value in expected.items())
    assert not (job(recipe, stages[0]).folder.path / "result.csv").exists() or stages[0] == "finetune"
