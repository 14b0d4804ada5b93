"""The report of a made-up world: its notebooks executed, their pages made, every page sound and saying what its CSV says."""

import re
from pathlib import Path

import pandas as pd
import papermill
import pytest

from lab.flow.engine import NAME
from lab.flow.tasks import ON_PAGES, tasks_of
from lab.show import formats as f
from lab.show.page import render
from lab.show.plan import Plan
from lib.runs import paths
from tests.pagecheck import problems


@pytest.fixture(scope="module")
def report(world) -> Path:
    plan = Plan.load("laptop", systems=["aiac_rank1", "wechat_baseline"], questions=["ema", "quirks_aiac_rank1"])
    for task in tasks_of(plan):
        if task.rule in ON_PAGES:
            out = paths.home() / task.executed
            out.parent.mkdir(parents=True, exist_ok=True)
            notebook, parameters = str(paths.home() / task.notebook), task.parameters
            papermill.execute_notebook(notebook, str(out), parameters, engine_name=NAME, progress_bar=False)
    return render(plan).parent


def text(report: Path, name: str) -> str:
    return (report / name).read_text(encoding="utf-8")


def test_every_page_opens_from_disk(report):
    assert problems(report) == []


def test_every_page_is_there(report):
    names = {path.stem for path in report.glob("*.html")}
    expected = {"index", "claims", "system_aiac_rank1", "system_wechat_baseline", "corpora", "ensembles"}
    assert names == expected | {"questions_weight_averaging", "questions_quirks"}


def test_front_page_shows_score_interval_oracle_and_published(report):
    row = pd.read_csv(report / "tables" / "leaderboard.csv").iloc[0]
    front = text(report, "index.html")
    assert f"<strong>{row['score']:.3f}</strong>" in front and f"{row['low']:.3f} to {row['high']:.3f}" in front
    assert f">{row['oracle']:.3f}<" in front and "0.886 / 0.836" in front
    assert (
        front.index("What was found")
        < front.index("How sure that is")
        < front.index('id="scores"')
        < front.index('id="questions"')
    )


def test_a_question_says_what_its_csv_says(report):
    rows = pd.read_csv(report / "tables" / "ablation_ema.csv")
    difference = rows.loc[rows["arm"] == "with", "difference"].iloc[0]
    for name in ("questions_weight_averaging.md", "questions_weight_averaging.html"):
        assert f.difference(difference) in text(report, name) and "helps" in text(report, name)


def test_every_number_drawn_is_in_a_table(report):
    figures = {path.stem for path in (report / "figures").iterdir()}
    assert len(figures) > 10 and figures <= {path.stem for path in (report / "tables").iterdir()}


def test_no_output_is_a_bare_object(report):
    """Every cell shows a table, a picture or words: no address in memory, no raw frame."""
    for page in report.glob("*.html"):
        shown = re.sub(r"<details.*?</details>", "", page.read_text(encoding="utf-8"), flags=re.S)
        assert " at 0x" not in shown and "dataframe" not in shown and "&lt;Figure" not in shown, page.name


def test_the_terminal_gets_a_summary(report):
    assert text(report, "summary.txt").startswith("Of ")
