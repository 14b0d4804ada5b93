"""Short SVG: the same positions, styles and references as matplotlib wrote, in fewer bytes."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from lab.show import slim_svg, style
from lab.show.slim_svg import path, slim

HEAD = (
    '<?xml version="1.0"?><!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "svg11.dtd">'
    '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="90pt">'
    "<metadata>of matplotlib</metadata><defs><style>*{stroke-linecap: butt}</style></defs>"
)


def positions(d: str) -> np.ndarray:
    """Every end point of a path, absolute or relative: written apart from what is tested."""
    here, start, found = np.zeros(2), np.zeros(2), []
    for letter, text in re.findall(r"([A-Za-z])([^A-Za-z]*)", d):
        numbers = [float(number) for number in re.findall(r"-?[\d.]+", text)]
        if letter in "zZ":
            here = start
        elif letter in "hv":
            for number in numbers:
                here = here + (np.array([number, 0]) if letter == "h" else np.array([0, number]))
                found.append(here)
        else:
            size = {"m": 2, "l": 2, "q": 4, "c": 6}[letter.lower()]
            for piece in np.reshape(numbers, (-1, size)):
                here = piece[-2:] + (here if letter.islower() else 0)
                found.append(here)
            start = here if letter in "Mm" else start
    return np.array(found)


def test_no_position_moves_by_more_than_half_a_hundredth_however_long_the_path():
    points = np.random.default_rng(0).normal(size=(3000, 2)).cumsum(0) + 300
    d = "M " + " L ".join(f"{x:.6f} {y:.6f}" for x, y in points) + " z M 1.5 2 C 1 2 3 4 7.123 8 Q 1 1 2.5 3 \n"
    short = path(d)
    assert len(short) < 0.6 * len(d)
    assert np.abs(positions(short) - positions(d)).max() <= 0.005 + 1e-9


@pytest.mark.parametrize("d", ["m1 2l3 4", "M0 0h5", "M 1 2 A 1 1 0 0 0 3 4", ""])
def test_a_path_written_otherwise_is_left(d):
    assert path(d) == d


def test_numbers_with_exponents_are_read():
    assert path("M 1e-05 2 L 3 2") == "M0 2h3"


def test_glyphs_names_and_styles():
    text = slim(
        HEAD
        + '<g id="figure_1"><!-- label --><g style="fill: red" transform="translate(1.23456 2) scale(0.085 -0.085)">'
        '<defs><path id="DejaVuSans-13" d="M 160 320 L 1600 320 z" transform="scale(0.015625)"/></defs>'
        '<use xlink:href="#DejaVuSans-13"/><use xlink:href="#DejaVuSans-13" transform="translate(63.625 0)"/></g>'
        '<path d="M 0 0 L 1 1" clip-path="url(#clip)" style="fill: red"/></g><clipPath id="clip"/></svg>'
    )
    root = ElementTree.fromstring(text)
    tag = {child.tag.rpartition("}")[2]: child for child in root.iter()}
    assert "metadata" not in tag and "label" not in text and "DOCTYPE" not in text
    group = tag["g"]
    assert group.get("transform") == "translate(1.23 2) scale(0.085 -0.085)" and group.get("class") == "c0"
    assert tag["style"].text == "*{stroke-linecap: butt}.c0{fill:red}"
    glyph, last = group[0][0], root[-2]
    assert glyph.attrib == {"id": "i0", "d": "M10 20h90z", "transform": "scale(0.25)"}
    assert [use.attrib for use in group[1:]] == [{"href": "#i0"}, {"x": "63.62", "href": "#i0"}]
    assert last.attrib == {"d": "M0 0l1 1", "clip-path": "url(#i1)", "class": "c0"} and root[-1].get("id") == "i1"


def test_what_is_short_stays_as_it_is():
    figure, axis = style.canvas()
    axis.plot([1, 2, 3], marker="o")
    axis.scatter(range(50), range(50), c=range(50))
    axis.set_title("家 $x^2$")
    text = style.svg(figure)
    assert slim(text) == text


def test_every_reference_has_its_definition():
    figure, axis = style.canvas()
    axis.scatter(range(9), range(9))
    root = ElementTree.fromstring(style.svg(figure))
    ids = {element.get("id") for element in root.iter()}
    used = {name for e in root.iter() for value in e.attrib.values() for name in slim_svg._REFERENCE.findall(value)}
    assert used and used <= ids
