"""The front page: which sentences are said of which tables, and the figure, from numbers made by hand."""

from __future__ import annotations

import pandas as pd
import pytest

from lab.show import front
from lab.show.claims import LEDGER
from lab.show.plan import Coming
from tests.show import drawn, made

NAN = float("nan")


def claim(trick: str, measured: float | None, claimed: float | None = 0.01, half: float = 0.005, **more) -> dict:
    row = LEDGER | dict(trick=trick, page=f"question/{trick}", metric="spearman", claimed=claimed, recipe="aiac_rank1")
    if measured is not None:
        row |= {"measured": measured, "low": measured - half, "high": measured + half, "holm": 0.5, "detectable": 0.02}
    return row | more


@pytest.fixture
def held() -> pd.DataFrame:
    return pd.DataFrame(
        [
            claim("R-Drop", 0.0301, verdict="helps", holm=0.01),
            claim("mixup", 0.02, verdict="helps", holm=0.2),
            claim("pretraining", 0.001, 0.045, verdict="claim ruled out"),
            claim("EMA", -0.02, verdict="hurts", holm=0.01),
            claim("FGM", 0.004, 0.005, verdict="too small to see here"),
            claim("six models", 0.02, holm=NAN, detectable=None, verdict="helps", page="ensemble/six"),
            claim("PGD", None, verdict="not tested"),
        ]
    )


def board(**more) -> pd.DataFrame:
    row = dict(recipe="aiac_rank1", arm="base", stage="finetune", metric="spearman", score=0.75, oracle=0.9)
    both = pd.DataFrame([row, row | {"arm": "job3", "score": 0.41}])
    return both.assign(**{"untrained": NAN, "linear": NAN, "below_floor": False, **more})


def said(held, frame=None, board_=None, joined=None, agreed=None) -> list[str]:
    frame = made.frame(made.reference(), made.arm()) if frame is None else frame
    parts = (board() if board_ is None else board_, pd.DataFrame() if joined is None else joined)
    return front.findings(held, frame, *parts, pd.DataFrame() if agreed is None else agreed)


def test_a_gain_is_named_only_if_it_survives_correction_and_every_other_verdict_is_counted(held):
    assert said(held)[0] == (
        "**Of 6 claimed gains that we measured, 1 came out as a gain that survives correction**: "
        "[R-Drop](page:question/R-Drop) (AIAC 1st, +3 points; claimed +1). The others, by verdict: helps before correction 1, "
        "claim ruled out 1, hurts 1, too small to see here 1 and helps (joined models, not corrected) 1."
    )
    assert "none came out as a gain that survives correction**. The" in said(held.assign(holm=0.5))[0]
    assert "helps (joined models, not corrected) 3" in said(held.assign(holm=NAN))[0]


def test_a_gain_where_a_loss_was_claimed_is_no_claimed_gain(held):
    lost = held.assign(claimed=held["claimed"].where(held["verdict"] != "helps", -0.01))
    assert said(lost)[0].startswith("**Of 3 claimed gains that we measured, none came out")
    assert "(AIAC 1st, +3 points; claimed −1)" in said(lost)[1]
    nothing = held.assign(claimed=held["claimed"].where(held["verdict"] != "helps", 0.0))
    assert said(nothing)[0].startswith("**Of 3 claimed gains that we measured, none came out")
    assert "(AIAC 1st, +3 points; claimed 0)" in said(nothing)[1] and "mixup" not in said(nothing)[1]


def test_a_claim_in_another_metric_says_so(held):
    assert "(AIAC 1st, −2 points; claimed +1 of accuracy)" in said(held.assign(claimed_in="accuracy"))[1]
    assert "accuracy" not in said(held.assign(claimed_in="spearman"))[1]


def test_what_was_ruled_out_comes_in_the_order_of_how_far_off_it_was(held):
    assert said(held)[1] == (
        "**Not what was claimed**: [pretraining](page:question/pretraining) (AIAC 1st, +0.1 points; claimed +4.5) and "
        "[EMA](page:question/EMA) (AIAC 1st, −2 points; claimed +1)."
    )


def test_a_system_below_the_untrained_floor_is_named_with_the_reason(held):
    text = said(held, board_=board(below_floor=[False, True], untrained=0.6))[2]
    system = "[AIAC 1st](page:system/aiac_rank1)"
    assert text.startswith(
        f"**Below what needs no training, 1 of 2 models**: {system} with Job 3, 0.410 against 0.600 (it pretrains without masked"
    )
    assert text.endswith(f"Best: {system} with 0.75 Spearman, 83 % of what the corpus allows.")
    many = board(below_floor=True, untrained=0.8, arm=["job2", "job4"])
    assert f": {system} with Job 4 and Job 2, 0.410 to 0.750 against 0.800. Best" in said(held, board_=many)[2]
    assert said(held, board_=board(linear=0.8))[2].endswith("allows, where a linear model has 0.80.")
    assert said(held, board_=board(linear=0.8))[2].startswith("2 of 2 models stay below a linear model. Best")
    one = said(held, board_=board(linear=0.7))[2]
    assert one.startswith("1 of 2 models stays below a linear model. Best") and "where a linear" not in one
    assert said(held, board_=board(untrained=0.2))[2].startswith("Every trained system beats what needs no training.")
    assert said(held)[2].startswith("Best: ")


def test_findings_about_code_and_ensembles_and_order_have_a_sentence_each(held):
    quirk = made.arm(
        "quirks_aiac_rank17", "aiac_rank17", "c7_10", family="quirks", difference=-0.07, verdict="hurts", holm=0.01
    )
    leak = made.arm("strict_split", arm="strict", family="splits", difference=0.2, verdict="helps", holm=0.3)
    joined = pd.DataFrame([{"title": "Six jobs", "name": "six", "verdict": "helps", "difference": 0.036}])
    agreed = pd.DataFrame(
        [dict(group="AIAC 1st, finetune", models=6, seeds=3, most_seeds=3, rho=0.886, low=0.4, high=0.94, p=0.033)]
    )
    found = said(held, made.frame(quirk, leak), joined=joined, agreed=agreed)[3:]
    assert found == [
        "**Code and splits of the originals**: of 2 differences measured, 1 cost score "
        "([BertAdam](page:question/quirks_aiac_rank17) (AIAC 17th, −7 points)).",
        "**Joining models** gains over the one that is best on validation: [Six jobs](page:ensemble/six) (+3.6 points).",
        "Rank correlation of published and measured scores: 6 models of AIAC 1st, finetune: 0.89 (0.40 to 0.94, p 0.033, 3 seeds a "
        "model).",
    ]  # fmt: skip


def test_how_sure_counts_the_claims_that_could_have_been_seen(held):
    frame = made.frame(made.reference(), made.arm(holm=0.01), made.arm("fgm", holm=0.2))
    text = front.sure(held, frame).data
    assert "could have been seen for **1 of 5 claims**; half of them would show effects of 2 points of Spearman" in text
    assert "1 of 2 comparisons differs from zero after correction" in text
    assert front.sure(held.assign(detectable=NAN), frame).data.startswith("No trick can be judged with one seed.")
    assert front.sure(held.assign(detectable=NAN), frame[:0]).data.startswith("No trick has been compared yet.")


def test_what_is_missing_is_said_and_nothing_if_nothing_is():
    assert front.coming([]) is None
    missing = [Coming("system", "aiac_rank1", 6, 12), Coming("question", "ema", 0, 75)]
    assert "**Still coming**: AIAC 1st (6 of 12 runs), EMA." in front.coming(missing).data
    many = front.coming([Coming("question", f"step_{n}", 0, 1) for n in range(12)]).data
    assert many.count("step ") == 10 and "and 2 more" in many


def test_before_the_first_pair_of_seeds_no_gain_is_counted(held):
    assert said(held.assign(measured=NAN))[0] == "**No claimed gain has been measured yet.**"


def test_the_terminal_gets_the_same_without_signs(held):
    assert front.lines(said(held))[0].startswith("Of 6 claimed gains that we measured, 1 came out")
    assert not any(sign in line for line in front.lines(said(held)) for sign in ("*", "[", "](", "page:"))


def test_the_figure_has_a_line_a_comparison_in_points_best_first(held):
    twice = pd.concat([held, pd.DataFrame([claim("pretraining", 0.001, 0.013, verdict="too small to see here")])])
    (picture,) = front.claims_forest(twice)
    (axis,) = picture.figure.axes
    assert front.claims_forest(twice.assign(claimed=float("nan"))) == [], "claims without a size are no lines"
    assert drawn.ticks(axis) == [
        f"{name} · AIAC 1st" for name in ("R-Drop", "mixup", "six models", "FGM", "pretraining", "EMA")
    ]
    claims = [tuple(point) for point in drawn.line(axis, "claimed").round(6).tolist()]
    assert (4.5, 4) in claims and (1.3, 4) in claims and len(claims) == 7
    assert drawn.line(axis, "hurts").tolist() == [[-2, 5]] and axis.get_xlabel() == "difference in points of Spearman"


def test_no_sentence_has_an_internal_name_or_a_number_of_four_digits(held):
    quirk = made.arm(
        "quirks_aiac_rank17", "aiac_rank17", "c7_10", family="quirks", difference=-0.0712, verdict="hurts", holm=0.01
    )
    text = " ".join(front.lines([*said(held, made.frame(quirk)), front.sure(held, made.frame(quirk)).data]))
    assert not pd.Series([text]).str.contains(r"_|\d[.,]?\d\d\d").any()


def test_a_harm_is_named_only_if_it_survives_correction(held):
    assert "EMA" not in said(held.assign(holm=held["holm"].replace(0.01, 0.3)))[1]
