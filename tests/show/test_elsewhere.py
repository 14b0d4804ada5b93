"""Two reports beside each other: which switches they share, how well their effects agree, what figure and sentence show."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from lab.show import elsewhere, verdicts
from lab.show.plan import Plan
from lib.evaluation.metrics import spearman
from tests.show import drawn

SWITCHES = [
    ("ema", "decay_09"),
    ("ema", "with"),
    ("fgm", "without"),
    ("r_drop", "with"),
    ("mixup", "with"),
    ("bags", "bag"),
]


class Here(SimpleNamespace):
    """As much of a plan as a report's place takes."""

    other_reports = Plan.other_reports


def table(effects: list[float], half: float = 0.01, **more) -> pd.DataFrame:
    rows = [
        {"ablation": name, "recipe": "wechat_baseline", "arm": arm, "reference": "base", "metric": "mean_f1", "check": "", "verdict": "helps",
         "difference": effect, "low": effect - half, "high": effect + half}
        for (name, arm), effect in zip(SWITCHES, effects, strict=False)
    ]  # fmt: skip
    return pd.DataFrame([row | more for row in rows]).reindex(columns=list(verdicts.COLUMNS)).assign(seed=pd.NA)


HERE = [0.01, 0.02, 0.03, 0.04, 0.05, -0.06]


def test_shared_switches_stand_side_by_side_and_what_changed_nothing_is_left_out():
    there = pd.concat([table([0.1, 0.2, 0.3]), table([0, 0, 0, 0.4], verdict="not in play").iloc[3:]])
    rows = elsewhere.both(table(HERE), there)
    assert rows[["ablation", "arm", "difference_here", "difference_there"]].values.tolist() == [
        ["ema", "decay_09", 0.01, 0.1], ["ema", "with", 0.02, 0.2], ["fgm", "without", 0.03, 0.3],
    ]  # fmt: skip
    assert elsewhere.both(table(HERE), table(HERE, check="placebo")).empty


def test_agreement_is_the_rank_correlation_of_both_columns_with_a_wider_interval_for_wider_effects():
    there = [0.02, 0.01, 0.03, 0.04, 0.05, -0.01]
    found = elsewhere.agreement(elsewhere.both(table(HERE), table(there)))
    assert found["rho"] == pytest.approx(spearman(np.array(HERE), np.array(there)))
    assert (found["same"], found["clear"]) == (6, 3)  # 0.01 with a half-width of 0.01 is not clear
    wide = elsewhere.agreement(elsewhere.both(table(HERE, 0.1), table(there, 0.1)))
    assert found["low"] <= found["rho"] <= found["high"] and wide["low"] < found["low"]


def test_sentence_says_predicts_only_where_the_interval_lies_above_zero():
    told = [
        elsewhere.reading(elsewhere.both(table(HERE, 1e-4), table(there, half)), "emoji").data
        for there, half in ((HERE, 1e-4), ([-e for e in HERE], 1e-4), (HERE, 1.0), (HERE[:2], 0.01))
    ]
    assert "**This report predicts report *emoji***: the rank correlation of 6 effects is 1.00" in told[0]
    assert "contradicts" in told[1] and "is -1.00" in told[1].replace("−", "-") and "0 of them have the same" in told[1]
    assert "is not shown to predict" in told[2] and "2 switches with this one: too few" in told[3]


def test_a_dot_lies_at_its_effects_and_lines_reach_as_far_as_the_intervals():
    rows = elsewhere.both(table(HERE), table([0.1, 0.2, 0.3, 0.4, 0.5, 0.6], 0.02))
    axis = elsewhere.picture(rows, "emoji").figure.axes[0]
    dots = next(line for line in axis.get_lines() if line.get_marker() == "o")
    assert dots.get_xdata().tolist() == HERE and dots.get_ydata().tolist() == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    across, up = drawn.bars(axis, 0), drawn.bars(axis, 1)
    assert across[0].tolist() == [[0.0, 0.1], [0.02, 0.1]] and up[1].tolist() == pytest.approx(
        np.array([[0.02, 0.18], [0.02, 0.22]])
    )


@pytest.mark.parametrize(("scale", "seen"), [("laptop", {"emoji"}), ("smoke", {"smoke-mine"})])
def test_other_reports_are_found_and_smoke_is_compared_with_smoke_alone(tmp_path: Path, scale: str, seen: set[str]):
    for name in ("laptop", "emoji", "smoke", "smoke-mine"):
        verdicts.write(table(HERE), tmp_path / name / "tables")
    plan = Here(scale=scale, report_folder=tmp_path / scale)
    assert set(elsewhere.reports(plan)) == seen


def test_without_another_report_the_page_says_how_to_make_one(tmp_path: Path):
    plan = Here(scale="laptop", report_folder=tmp_path / "laptop")
    assert "make real" in elsewhere.beside(plan, table(HERE))[0].data
    verdicts.write(table(HERE), tmp_path / "emoji" / "tables")
    text, picture = elsewhere.beside(plan, table(HERE))
    assert "predicts report *emoji*" in text.data and picture.name == "elsewhere_emoji"
