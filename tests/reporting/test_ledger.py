"""The claims ledger, the advice of the front page, and verdicts judged together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from lib.evaluation.compare import compare
from lib.recipes.load import load, names
from lib.recipes.plan import Plan
from lib.recipes.specs import Ablation, Claims
from lib.reporting import advice, certainty
from lib.reporting.ledger import NOT_HERE, ledger

ARM, REFERENCE = np.array([0.52, 0.55, 0.50]), np.array([0.50, 0.51, 0.47])


def row(ablation: str, recipe: str, difference: float, half: float, **more) -> dict:
    verdict = "no measurable effect" if abs(difference) <= half else "helps" if difference > 0 else "hurts"
    fixed = {
        "ablation": ablation,
        "family": "x",
        "recipe": recipe,
        "arm": "with",
        "metric": "spearman",
        "n": 3,
        "detectable": 0.02,
    }
    numbers = {
        "difference": difference,
        "low": difference - half,
        "high": difference + half,
        "verdict": verdict,
        "holm": 0.2,
    }
    return {**fixed, **numbers, **more}


@pytest.fixture
def compared() -> pd.DataFrame:
    return pd.DataFrame(
        [
            row("masked_frames", "aiac_rank1", 0.03, 0.01),
            row("masked_tokens", "aiac_rank1", 0.05, 0.01, holm=0.01),
            row("ema", "aiac_rank1", -0.03, 0.01),
            row("strict_split", "aiac_rank1", -0.2, 0.01, family="splits"),
            row("focal_tags", "aiac_rank1", 0.5, 0.01, arm="gamma1"),
            row("focal_tags", "aiac_rank1", 0.001, 0.01),
        ]
    )


def test_p_value_is_that_of_the_paired_t_test() -> None:
    found = compare(ARM, REFERENCE)
    assert certainty.p_value(found.mean, found.low, found.high, 3) == pytest.approx(
        stats.ttest_rel(ARM, REFERENCE).pvalue, rel=1e-9
    )
    assert np.isnan(certainty.p_value(0.1, float("nan"), float("nan"), 1))


def test_ranked_by_what_a_cautious_reader_may_count_on(compared: pd.DataFrame) -> None:
    frame = advice.tricks(compared, [])
    assert list(frame["name"])[:3] == ["focal tags: gamma1", "masked tokens", "masked frames"]
    assert "strict split" not in set(frame["name"])  # a finding about the originals, no trick
    text = advice.advice(frame, "spearman")
    assert text.startswith(
        "**Pairs** (Spearman): first [focal tags: gamma1](ablation_focal_tags.md) on aiac_rank1, +0.5000"
    )
    assert "Leave: [ema](ablation_ema.md)" in text
    assert "1 would stand" in text


def test_nothing_helps_is_said(compared: pd.DataFrame) -> None:
    text = advice.advice(advice.tricks(compared[compared["ablation"] == "ema"], []), "spearman")
    assert "none of 1 trick tried helps" in text


def test_summary_is_ten_lines_at_most(compared: pd.DataFrame, tmp_path: Path) -> None:
    plan = Plan.load("smoke", systems=["aiac_rank1", "wechat_baseline"])
    lines = advice.lines(advice.tricks(compared, []), ledger(plan, compared, [], tmp_path))
    assert 0 < len(lines) <= 10
    assert lines[0].startswith("Pairs: ")


def test_every_claim_has_one_row(compared: pd.DataFrame, tmp_path: Path) -> None:
    plan = Plan.load("smoke", systems=["aiac_rank1", "wechat_baseline"])
    rows = ledger(plan, compared, [], tmp_path)
    claims = sum(len(load(Ablation, name).claimed) for name in names(Ablation))
    assert len(rows) == claims + len(load(Claims, "claims").others) >= 40
    assert (rows["note"].astype(bool) | rows["verdict"].isin(["helps", "hurts", "no measurable effect"])).all()


def test_a_claim_is_held_against_the_arm_it_names(compared: pd.DataFrame, tmp_path: Path) -> None:
    rows = ledger(Plan.load("smoke", systems=["aiac_rank1"]), compared, [], tmp_path).set_index("source")
    focal = rows.loc["AIAC rank 6, write-up: more than +1 %"]
    assert (focal["arm"], focal["measured"], focal["claimed"]) == ("with", 0.001, 0.01)
    assert rows.loc["AIAC rank 6, write-up: +0.01 %", "verdict"] == NOT_HERE


def test_other_corpora_fill_their_column(compared: pd.DataFrame, tmp_path: Path) -> None:
    (tmp_path / "smoke-emoji" / "tables").mkdir(parents=True)
    compared.to_csv(tmp_path / "smoke-emoji" / "tables" / "comparisons.csv", index=False)
    rows = ledger(Plan.load("smoke", systems=["aiac_rank1"]), compared, [], tmp_path)
    elsewhere = rows.loc[rows["source"].str.contains("tag \\+ MLM over tag only"), "elsewhere"].item()
    assert elsewhere == "emoji: +0.0500, helps"
