"""What all figures have in common: fonts with every glyph, the same bytes each time."""

import warnings

import pytest

from lab.show import style
from tests.show import drawn


def figure(words: str):
    figure, axis = style.canvas()
    axis.set_yticks([0], [words])
    return figure


def test_every_glyph_is_drawn_and_the_same_bytes_twice():
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*[Gg]lyph.*missing.*")
        first, second = style.svg(figure("家常红烧肉，简单好吃")), style.svg(figure("家常红烧肉，简单好吃"))
    assert first == second and "<dc:date>" not in first


def test_a_glyph_that_no_font_has_is_noticed():
    with pytest.warns(UserWarning, match="missing"):
        style.svg(figure("한"))


@pytest.mark.parametrize("name", ["$a_b$ 5%", "$10_$20", "a_{b$ $c}", "\\frac{$1$}{2"])
def test_dollars_and_underscores_stay_as_they_are(name):
    shown = figure(name)
    assert drawn.ticks(shown.axes[0])[0] == name and not shown.axes[0].get_yticklabels()[0].get_parse_math()
