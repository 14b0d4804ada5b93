"""The forest: every number is read back from what is drawn."""

import pandas as pd
import pytest

from lab.show import style
from lab.show.forest import forest
from tests.show import drawn

NAN = float("nan")


def row(label: str, difference: float, half: float, verdict: str, metric: str = "spearman", **more) -> dict:
    ends = {"low": difference - half, "high": difference + half}
    return {"label": label, "metric": metric, "difference": difference, **ends, "verdict": verdict, **more}


ROWS = pd.DataFrame(
    [
        row("up", 0.5, 0.25, "helps", claimed=0.25, detectable=0.125),
        row("down", -0.5, 0.25, "hurts", detectable=0.25),
        row("flat", 0.125, 0.5, "too small to see here", claimed=0.25, detectable=0.75),
        row("flat", 0.125, 0.5, "too small to see here", claimed=0.5, detectable=0.75),
        row("idle", 0.0, 0.0, "not in play"),
        row("bound", 0.0, 0.125, "no effect above 0.12", detectable=0.125),
        row("lone", 0.25, NAN, "one seed: no interval"),
    ]
)


def picture():
    return forest(ROWS, "forest_x", "the reference arm", "an interval")


@pytest.mark.parametrize("which", ["figure", "narrow"])
def test_both_drawings_show_difference_interval_claim_and_what_could_be_seen(which):
    (axis,) = getattr(picture(), which).axes
    assert drawn.line(axis, "helps").tolist() == [[0.5, 0]] and drawn.line(axis, "hurts").tolist() == [[-0.5, 1]]
    assert drawn.line(axis, "claimed").tolist() == [[0.25, 0], [0.25, 2], [0.5, 2]]
    assert [bar.tolist() for bar in drawn.bars(axis, 0)] == [[[0.25, 0], [0.75, 0]]]
    assert [bar.tolist() for bar in drawn.bars(axis, 1)] == [[[-0.75, 1], [-0.25, 1]]]
    bands = [c.get_paths()[0].get_extents() for c in axis.collections if c.get_zorder() == 0]
    assert [(band.x0, band.x1, round((band.y0 + band.y1) / 2)) for band in bands] == [
        (-0.125, 0.125, 0), (-0.25, 0.25, 1), (-0.75, 0.75, 2), (-0.125, 0.125, 4),
    ]  # fmt: skip


def test_labels_stand_left_of_the_lines_or_on_a_narrow_screen_above_them():
    labels = ["up", "down", "flat", "idle", "bound", "lone"]
    (wide,), (narrow,) = picture().figure.axes, picture().narrow.axes
    assert drawn.ticks(wide) == labels and [text.get_text() for text in narrow.texts] == labels
    assert narrow.figure.get_figwidth() < 0.6 * wide.figure.get_figwidth()


def test_every_verdict_has_a_look_of_its_own_and_the_legend_names_it_without_its_number():
    (axis,) = picture().figure.axes
    looks = {line.get_label(): (line.get_marker(), line.get_color()) for line in axis.lines}
    assert looks["helps"] == (">", style.BLUE) and looks["hurts"] == ("<", style.RED)
    words = [look.word for look in style.LOOKS]
    assert len({looks[word] for word in words if word in looks}) == 5
    assert drawn.words(picture().figure) == [
        "too small to be seen", "helps", "hurts", "no effect above", "too small to see here", "not in play",
        "one seed: no interval", "claimed",
    ]  # fmt: skip


def test_a_panel_for_each_metric_zero_in_sight_and_axes_on_top_of_long_ones():
    far = pd.DataFrame([row("a", 0.5, 0.1, "helps"), row("b", 0.3, 0.1, "helps", "mean_f1")])
    found = forest(far, "x", "the arm before", "an interval")
    one, other = found.figure.axes
    assert (one.get_xlabel(), other.get_xlabel()) == (
        "difference in Spearman to the arm before", "difference in mean F1 to the arm before",
    )  # fmt: skip
    assert drawn.ticks(one) == ["a"] and drawn.ticks(other) == ["b"] and one.get_xlim()[0] < 0
    assert "Diamond" not in found.caption and "band" not in found.caption


def test_the_alt_text_is_short_and_the_numbers_are_the_table():
    assert picture().alt == "Differences in Spearman to the reference arm of 6 comparisons, with intervals"
    assert picture().frame["claimed"].tolist()[2:4] == [0.25, 0.5] and len(picture().frame) == len(ROWS)
