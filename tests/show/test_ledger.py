"""The claims ledger, the advice of the front page, and verdicts judged together."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from lab.show.ledger import NOT_HERE, ledger

from lab.show import advice, certainty
from lab.show import runs as gather
from lab.show.plan import Plan
from lab.show.specs import Claims
from lib.evaluation.compare import compare
from lib.recipes.load import load, names
from lib.recipes.specs import Ablation
from lib.runs import paths

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


def test_p_value_by_hand() -> None:
    """Differences 0.02, 0.04, 0.03: t = 0.03 / (0.01 / sqrt(3)); with two degrees of freedom p = 1 - t / sqrt(t^2 + 2)."""
    t = 0.03 / (0.01 / np.sqrt(3))
    assert certainty.p_value(ARM, REFERENCE) == pytest.approx(1 - t / np.sqrt(t**2 + 2), rel=1e-9)
    assert certainty.p_value(REFERENCE, ARM) == pytest.approx(certainty.p_value(ARM, REFERENCE))


def test_p_value_belongs_to_the_interval_that_decides() -> None:
    """The difference of an arm moved by half the interval's width touches zero: p is one in twenty there."""
    found = compare(ARM, REFERENCE)
    assert certainty.p_value(ARM - found.low, REFERENCE) == pytest.approx(certainty.LEVEL, rel=1e-9)


def test_p_value_where_the_test_has_none() -> None:
    assert np.isnan(certainty.p_value(ARM[:1], REFERENCE[:1]))
    assert certainty.p_value(ARM, ARM) == 1.0
    assert certainty.p_value(np.array([0.75, 1.75]), np.array([0.5, 1.5])) == 0.0
    with pytest.raises(ValueError):
        certainty.p_value(ARM, REFERENCE[:2])


def test_ranked_by_what_a_cautious_reader_may_count_on(compared: pd.DataFrame) -> None:
    frame = advice.tricks(compared, [])
    assert list(frame["name"])[:3] == ["focal tags: gamma1", "masked tokens", "masked frames"]
    assert "strict split" not in set(frame["name"])  # a finding about the originals, no trick
    text = advice.advice(frame, "spearman")
    assert text.startswith(
        "**Pairs** (Spearman): first [focal tags: gamma1](ablation_focal_tags.md) on aiac_rank1, +0.5000"
    )
    assert "Leave: [EMA](ablation_ema.md)" in text
    assert "Judged together (Holm), 1 of 5 comparisons over seeds would stand (" in text
    assert (
        "Where no effect was seen, 3 seeds would typically have shown a true one of 0.0200 four times out of five."
        in text
    )


def test_nothing_helps_is_said(compared: pd.DataFrame) -> None:
    text = advice.advice(advice.tricks(compared[compared["ablation"] == "ema"], []), "spearman")
    assert "none of 1 trick tried helps" in text


def test_what_depends_on_the_corpus_is_told_apart() -> None:
    asked = [row(name, "wechat_baseline", 0.05, 0.01, metric="mean_f1") for name in ("bags", "fgm")]
    found = pd.DataFrame(asked).assign(family=["simple models", "adversarial training"])
    assert list(advice.tricks(found, [])["name"]) == ["FGM"]
    told = advice.of_corpus(found, "mean_f1")
    assert told.startswith(" No trick, but ahead on this corpus: [bags](ablation_bags.md) on wechat_baseline, +0.0500")
    assert advice.of_corpus(found, "spearman") == advice.of_corpus(found.assign(verdict="hurts"), "mean_f1") == ""


def test_summary_is_ten_lines_at_most_and_says_what_it_leaves_out(compared: pd.DataFrame, tmp_path: Path) -> None:
    plan = Plan.load("smoke", systems=["aiac_rank1", "wechat_baseline"])
    more = [row(f"trick_{n}", "wechat_baseline", 0.1 - n / 100, 0.01, metric="mean_f1") for n in range(5)]
    more += [row("bad", "wechat_baseline", -0.1, 0.01, metric="mean_f1")]
    both = pd.concat([pd.DataFrame(more), compared], ignore_index=True)
    lines = advice.lines(advice.tricks(both, []), ledger(plan, both, [], tmp_path))
    assert len(lines) == 10 and lines[0].startswith("Pairs: ") and lines[5].startswith("Classes: ")
    assert lines[3] == "  helps: masked frames on aiac_rank1, +0.0300 (95 % interval +0.0200 to +0.0400)"
    assert lines[4] == "  hurt: EMA on aiac_rank1"
    assert lines[8].startswith("  helps: trick 2 on wechat_baseline") and lines[8].endswith("; and 2 tricks more")


def test_summary_says_that_nothing_was_seen(compared: pd.DataFrame, tmp_path: Path) -> None:
    nothing = compared.assign(verdict="no measurable effect")
    plan = Plan.load("smoke", systems=["aiac_rank1"])
    lines = advice.lines(advice.tricks(nothing, []), ledger(plan, nothing, [], tmp_path))
    assert len(lines) == 2 and lines[1] == "  no trick shows an effect that these seeds could see"


def test_a_recipe_of_the_users_own_belongs_to_the_track_of_its_corpus(
    compared: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it is called: here a system of the class track with a name of the other."""
    shutil.copytree(paths.params(), tmp_path / "params")
    recipes = tmp_path / "params" / "recipes"
    (recipes / "my_aiac_copy.yaml").write_text((recipes / "wechat_baseline.yaml").read_text(encoding="utf-8"))
    monkeypatch.setenv("VIDLAB_PARAMS", str(tmp_path / "params"))
    assert gather.contest_metric("my_aiac_copy") == "mean_f1"
    rows = ledger(Plan.load("smoke", systems=["my_aiac_copy"]), compared, [], tmp_path)
    assert len(rows) and set(rows["metric"]) == {"mean_f1"}


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
