"""What all figures have in common: fonts with every glyph, the same bytes each time, shared ways to draw."""

import warnings

import numpy as np
import pandas as pd
import pytest

from lab.show import style
from tests.show import drawn

FRAME = pd.DataFrame({"score": [0.5, 0.7], "low": [0.4, np.nan], "high": [0.8, np.nan]})


def figure(words: str):
    figure, axis = style.canvas()
    style.ranges(axis, FRAME, [words, "b"])
    return figure


def test_every_glyph_is_drawn_and_the_same_bytes_twice():
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*[Gg]lyph.*missing.*")
        first, second = style.svg(figure("家常红烧肉，简单好吃")), style.svg(figure("家常红烧肉，简单好吃"))
    assert first == second and "<dc:date>" not in first


def test_a_glyph_that_no_font_has_is_noticed():
    with pytest.warns(UserWarning, match="missing"):
        style.svg(figure("한"))


def test_dollars_and_underscores_stay_as_they_are():
    shown = figure("$a_b$ 5%")
    assert drawn.ticks(shown.axes[0])[0] == "$a_b$ 5%" and not shown.axes[0].get_yticklabels()[0].get_parse_math()


def test_ranges_draw_scores_and_both_ends_from_above_to_below():
    axis = figure("a").axes[0]
    assert drawn.line(axis, "score").tolist() == [[0.5, 0], [0.7, 1]]
    assert drawn.bars(axis)[0].tolist() == [[0.4, 0], [0.8, 0]]
    assert axis.get_ylim()[0] > 1 and drawn.ticks(axis) == ["a", "b"]


def test_counts_start_at_zero_where_there_is_one():
    for counts, left in (([0, 50], -0.2), ([10, 50], 8), ([], 0)):
        _, axis = style.canvas()
        style.counts_axis(axis, pd.Series(counts, dtype=float))
        assert axis.get_xscale() == "symlog" and axis.get_xlim()[0] == pytest.approx(left)
