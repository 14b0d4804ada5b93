"""The committed report is what the code makes: one run made again gives its score; all runs, where they are, all tables."""

from __future__ import annotations

import io
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from lab.corpora import importing as corpus
from lab.show.page import render
from lab.show.plan import Plan
from lib.data.store import Store
from lib.recipes import job as jobs
from lib.recipes.job import Job
from lib.runs import paths
from lib.runs.folder import MissingRun
from lib.stages.inputs import build_features
from lib.stages.run import run
from tests.show.agreement import differences, tolerance

COMMITTED = paths.PROJECT / "reports" / "laptop" / "tables" / "leaderboard.csv"


@pytest.fixture
def empty_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing is made yet; jobs that were resolved under another home are forgotten, before the test and after it."""
    monkeypatch.setenv("VIDLAB_HOME", str(tmp_path))
    jobs._load.cache_clear()
    yield
    jobs._load.cache_clear()


@pytest.mark.slow
@pytest.mark.usefixtures("empty_home")
def test_a_committed_score_comes_out_again() -> None:
    """To 1e-3: processors differ in the last bits, which training then carries on."""
    job = Job.load("wechat_baseline", "finetune", "base", 0, "laptop")
    corpus.build(job.corpus.name, "laptop")
    tokens = job.tokens
    build_features(Store.open(job.corpus.store), tokens)
    score = run(job).read_metrics()["scores"]["validation"]["mean_f1"]
    board = pd.read_csv(COMMITTED)
    row = board[(board["recipe"] == job.recipe) & (board["arm"] == "base")].iloc[0]
    committed = float(str(row["scores"]).split()[0])
    assert score == pytest.approx(committed, abs=1e-3)


@pytest.mark.slow
def test_the_runs_of_this_clone_give_the_committed_tables(tmp_path: Path) -> None:
    """After ``make reproduce``, whatever it has put in the place of the committed report since."""
    if not (paths.PROJECT / "runs" / "laptop" / "plan.json").exists():
        pytest.skip("no runs here: `make reproduce` makes them")
    try:
        made = render(Plan.load("laptop"), tmp_path / "made").parent
    except MissingRun as missing:
        pytest.skip(f"not all runs are here, `make reproduce` makes them: {missing}")
    archive = subprocess.run(
        ["git", "archive", "HEAD", "reports/laptop/tables"], cwd=paths.PROJECT, capture_output=True, check=True
    )
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
        files.extractall(tmp_path, filter="data")
    committed = tmp_path / "reports" / "laptop"
    found = differences(made, committed, tolerance(committed))
    assert found.empty, found.to_string()
