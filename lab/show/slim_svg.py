"""matplotlib's SVG in a third of the bytes: the same picture, to a hundredth of a point.

Paths become relative, glyphs are rounded to a sixteenth of their units, styles that repeat become classes, and what only
matplotlib reads (names of groups, metadata, comments) goes. How a path may be written: https://www.w3.org/TR/SVG2/paths.html
"""

from __future__ import annotations

import re
from collections import Counter
from itertools import groupby
from operator import itemgetter
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

NAMESPACE = "http://www.w3.org/2000/svg"
METADATA, STYLE, GROUP, USE = (f"{{{NAMESPACE}}}{name}" for name in ("metadata", "style", "g", "use"))
HREF = "{http://www.w3.org/1999/xlink}href"
GLYPH, ROUNDED_GLYPH = "scale(0.015625)", "scale(0.25)"  # a sixteenth of 64 units: 0.025 points at a font size of 10
_LONG_NUMBER = re.compile(r"-?\d+\.\d{3,}")
_NUMBER = re.compile(r"-?[\d.]+(?:e-?\d+)?")
_COMMAND = re.compile(r"([MLQCz])([^MLQCz]*)")
_MATPLOTLIB = re.compile(r"(?:[MLQC](?: -?[\d.]+(?:e-?\d+)?)+\s*|z\s*)+")  # its paths: absolute, blanks between
_TRANSLATE = re.compile(r"translate\(([^)]+)\)")
_REFERENCE = re.compile(r"(?<=url\(#)[^)]+|(?<=^#).+")


def slim(text: str) -> str:
    """The text of an SVG file by matplotlib, shorter. What is short already stays as it is.

    Raises:
        xml.etree.ElementTree.ParseError: the text is no XML.
    """
    ElementTree.register_namespace("", NAMESPACE)
    root = ElementTree.fromstring(text)
    for element in root.findall(METADATA):
        root.remove(element)
    for element in root.iter():
        _shorten(element)
    _rename(root)
    _unwrap(root)
    _classify(root)
    for element in root.iter():
        element.text, element.tail = (element.text or "").strip() or None, "\n"
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode")


def path(d: str, grid: float = 0.01) -> str:
    """A path of matplotlib in relative coordinates; anything else as it is.

    Positions are rounded before their differences are taken, so that errors do not add up.

    Args:
        grid: what positions are rounded to; from 1 on it is also the unit of the result.

    >>> path("M 10 20 L 30 20 L 30 5.004 Q 31 5 32 6 Q 31 7 30 7 z")
    'M10 20h20v-15q1 0 2 1-1 1-2 1z'
    >>> path("M 160 320 L 170 330", grid=16)
    'M10 20l1 1'
    """
    if not _MATPLOTLIB.fullmatch(d.strip()):
        return d
    commands, here, start = [], (0, 0), (0, 0)
    for letter, text in _COMMAND.findall(d):
        numbers = [round(float(number) / grid) for number in _NUMBER.findall(text)]
        points = list(zip(numbers[::2], numbers[1::2], strict=True))
        if letter == "z":
            commands.append(("z", []))
            here = start
            continue
        if letter == "M":
            commands.append(("M", numbers))
            start = points[0]
        else:
            commands.append(_relative(letter, points, here))
        here = points[-1]
    unit = grid if grid < 1 else 1
    runs = groupby(commands, key=itemgetter(0))
    return "".join(_written(letter, [numbers for _, numbers in run], unit) for letter, run in runs)


def _relative(letter: str, points: list[tuple[int, int]], here: tuple[int, int]) -> tuple[str, list[int]]:
    steps = [number - origin for point in points for number, origin in zip(point, here, strict=True)]
    if letter == "L" and 0 in steps:
        return ("h", steps[:1]) if steps[1] == 0 else ("v", steps[1:])
    return letter.lower(), steps


def _written(letter: str, runs: list[list[int]], unit: float) -> str:
    """A letter stands for all of its kind that follow, except where that would mean something else; a minus needs no blank."""
    if letter in "Mz":
        return "".join(letter + _numbers(run, unit) for run in runs)
    return letter + _numbers([number for run in runs for number in run], unit)


def _numbers(numbers: list[int], unit: float) -> str:
    return " ".join(f"{number * unit:.10g}" for number in numbers).replace(" -", "-")


def _hundredths(text: str) -> str:
    return _LONG_NUMBER.sub(lambda match: f"{float(match.group()):.2f}".rstrip("0").rstrip("."), text)


def _shorten(element: Element) -> None:
    """Numbers and references of one element."""
    values = element.attrib
    glyph = values.get("transform") == GLYPH
    if "d" in values:
        values["d"] = path(values["d"], 16 if glyph else 0.01)
    if glyph:
        values["transform"] = ROUNDED_GLYPH
    if HREF in values:
        values["href"] = values.pop(HREF)
    if "style" in values:
        values["style"] = values["style"].replace(": ", ":").replace("; ", ";")
    for name in {"x", "y", "width", "height"} & values.keys():
        values[name] = _hundredths(values[name])
    if "transform" in values:  # factors keep their digits
        values["transform"] = _TRANSLATE.sub(lambda match: _hundredths(match.group()), values["transform"])
    moved = _TRANSLATE.fullmatch(values.get("transform", ""))
    if element.tag == USE and moved:
        del values["transform"]
        values |= {name: number for name, number in zip("xy", moved.group(1).split(), strict=True) if number != "0"}


def _rename(root: Element) -> None:
    """Short names for what is referred to, none for the rest."""
    used = {name for element in root.iter() for value in element.attrib.values() for name in _REFERENCE.findall(value)}
    defined = [element.get("id", "") for element in root.iter() if element.get("id") in used]
    names = {name: f"i{number}" for number, name in enumerate(defined)}

    def new(match: re.Match[str]) -> str:
        return names.get(match.group(), match.group())

    for element in root.iter():
        if "id" in element.attrib and element.get("id") not in names:
            del element.attrib["id"]
        for key, value in element.items():
            element.set(key, names[value] if key == "id" else _REFERENCE.sub(new, value))


def _unwrap(parent: Element) -> None:
    """Groups that say nothing give way to what they hold."""
    children = []
    for child in parent:
        _unwrap(child)
        children += child if child.tag == GROUP and not child.attrib else [child]
    parent[:] = children


def _classify(root: Element) -> None:
    """Styles that several elements share become rules of the style sheet that matplotlib begins a figure with."""
    sheet = next(root.iter(STYLE), None)
    if sheet is None or ".c0{" in (sheet.text or ""):
        return
    counts = Counter(element.get("style") for element in root.iter() if element.get("style"))
    shared = {style: f"c{number}" for number, style in enumerate(style for style, n in counts.items() if n > 1)}
    for element in root.iter():
        if element.get("style") in shared:
            element.set("class", shared[element.attrib.pop("style")])
    rules = "".join(f".{name}{{{style}}}" for style, name in shared.items())
    sheet.text = (sheet.text or "") + rules
