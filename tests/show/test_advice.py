"""Which trick first: the order, what is left out, and the words, from comparisons made by hand."""

from __future__ import annotations

import pandas as pd
import pytest

from lab.show import advice
from tests.show import made

NOTHING = "no measurable effect"
NO_ENSEMBLES = pd.DataFrame(columns=["name", "metric"])


def arm(ablation: str, difference: float, half: float = 0.01, **more) -> list[dict]:
    verdict = NOTHING if abs(difference) <= half else "helps" if difference > 0 else "hurts"
    ends = {"low": difference - half, "high": difference + half, "detectable": 0.02}
    return made.arm(ablation, difference=difference, **{"verdict": verdict, **ends, **more})


@pytest.fixture
def frame() -> pd.DataFrame:
    return made.frame(
        arm("masked_frames", 0.03),
        arm("masked_tokens", 0.05, holm=0.01),
        arm("wide", 0.09, 0.085),
        arm("ema", -0.03),
        arm("strict_split", -0.2, family="splits"),
        arm("placebo", 0.9, check="placebo"),
        arm("focal_tags", 0.5, arm="gamma1"),
        arm("focal_tags", 0.001),
        arm("fgm", -0.002, detectable=0.03),
        arm("r_drop", -0.003, detectable=0.07),
    )


@pytest.fixture
def ensembles() -> pd.DataFrame:
    row = {
        "name": "six",
        "title": "Six jobs",
        "recipe": "aiac_rank1",
        "members": 6,
        "metric": "spearman",
        "verdict": "helps",
    }
    row |= {"score": 0.5, "low": 0.4, "high": 0.6, "difference": 0.06, "difference_low": 0.035, "difference_high": 0.08}
    return pd.DataFrame([row])


def test_ranked_by_what_a_cautious_reader_may_count_on(frame, ensembles) -> None:
    found = advice.tricks(frame, ensembles)
    names = list(found["name"])
    assert names[:5] == ["focal tags: gamma1", "masked tokens", "ensemble Six jobs", "masked frames", "wide"]
    assert found["low"].tolist() == sorted(found["low"], reverse=True) and "placebo" not in names
    six = found.iloc[2]
    assert (six["difference"], six["low"], six["high"], six["n"]) == (0.06, 0.035, 0.08, 0)


def test_advice_names_the_first_three_what_would_stand_and_what_to_leave(frame, ensembles) -> None:
    text = advice.advice(advice.tricks(frame, ensembles), "spearman")
    assert text == (
        "**Pairs** (Spearman): first [focal tags: gamma1](page:question/focal_tags) on aiac_rank1, +0.5000 (95 % interval "
        "+0.4900 to +0.5100) over 3 seeds, p 0.20 after Holm; then [masked tokens](page:question/masked_tokens) on aiac_rank1, "
        "+0.0500 (95 % interval +0.0400 to +0.0600) over 3 seeds, p 0.01 after Holm; then [ensemble Six jobs]"
        "(page:ensemble/six) on aiac_rank1, +0.0600 (95 % interval +0.0350 to +0.0800) over the validation items of one run. "
        "Judged together (Holm), 1 of 8 comparisons over seeds would stand (masked tokens on aiac_rank1). Where no effect was "
        "seen, 3 seeds would typically have shown a true one of 0.0300 four times out of five. Leave: "
        "[EMA](page:question/ema) on aiac_rank1, −0.0300."
    )


def test_nothing_helps_is_said(frame) -> None:
    text = advice.advice(advice.tricks(frame[frame["ablation"] == "ema"], NO_ENSEMBLES), "spearman")
    assert "none of 1 trick tried helps" in text


def test_what_depends_on_the_corpus_is_told_apart() -> None:
    found = advice.tricks(
        made.frame(arm("bags", 0.05, metric="mean_f1", family="simple models"), arm("fgm", 0.04, metric="mean_f1")),
        NO_ENSEMBLES,
    )
    text = advice.advice(found, "mean_f1")
    assert text.startswith("**Classes** (mean F1): first [FGM](page:question/fgm)") and "1 of 1 comparison" not in text
    assert text.endswith(
        " No trick, but ahead on this corpus: [bags](page:question/bags) on aiac_rank1, +0.0500 (95 % interval +0.0400 to +0.0600)."
    )


def test_summary_is_ten_lines_at_most_and_says_what_it_leaves_out(frame) -> None:
    more = [arm(f"trick_{n}", 0.1 - n / 100, metric="mean_f1") for n in range(5)]
    both = pd.concat([frame, made.frame(*more, arm("bad", -0.1, metric="mean_f1"))], ignore_index=True)
    claims = pd.DataFrame(
        {"metric": ["spearman"] * 3, "measured": [0.1, 0.2, None], "verdict": ["helps", "hurts", "not tested"]}
    )
    lines = advice.lines(advice.tricks(both, NO_ENSEMBLES), claims)
    assert lines == [
        "Pairs: 3 claims, 2 measured: 1 helps, 1 hurts",
        "  helps: focal tags: gamma1 on aiac_rank1, +0.5000 (95 % interval +0.4900 to +0.5100)",
        "  helps: masked tokens on aiac_rank1, +0.0500 (95 % interval +0.0400 to +0.0600)",
        "  helps: masked frames on aiac_rank1, +0.0300 (95 % interval +0.0200 to +0.0400); and 1 trick more",
        "  hurt: EMA on aiac_rank1",
        "Classes: 0 claims, 0 measured",
        "  helps: trick 0 on aiac_rank1, +0.1000 (95 % interval +0.0900 to +0.1100)",
        "  helps: trick 1 on aiac_rank1, +0.0900 (95 % interval +0.0800 to +0.1000)",
        "  helps: trick 2 on aiac_rank1, +0.0800 (95 % interval +0.0700 to +0.0900); and 2 tricks more",
        "  hurt: bad on aiac_rank1",
    ]


def test_summary_says_that_nothing_was_seen(frame) -> None:
    found = advice.tricks(frame.assign(verdict=NOTHING), NO_ENSEMBLES)
    lines = advice.lines(found, pd.DataFrame(columns=["metric", "measured", "verdict"]))
    assert lines == ["Pairs: 0 claims, 0 measured", "  no trick shows an effect that these seeds could see"]
