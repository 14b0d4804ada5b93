"""The committed report is what the code makes: one of its runs, made again, gives the committed score."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from lib.data.store import Store
from lib.features import sets
from lib.recipes import job as jobs
from lib.recipes.job import Job
from lib.runs import paths
from lib.stages import corpus
from lib.stages.run import run

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
    sets.build(Store.open(job.corpus.store), tokens.folder, tokens.spec, tokens.tokenizer, tokens.digest)
    score = run(job).read_metrics()["scores"]["validation"]["mean_f1"]
    board = pd.read_csv(COMMITTED)
    row = board[(board["recipe"] == job.recipe) & (board["arm"] == "base")].iloc[0]
    committed = float(str(row["scores"]).split()[0])
    assert score == pytest.approx(committed, abs=1e-3)
