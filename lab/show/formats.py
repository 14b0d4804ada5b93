"""Numbers as people read them. Every number on a page passes through here."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from typing import Any

MINUS = "\N{MINUS SIGN}"
NOTHING = "–"


METRICS = {"spearman": "Spearman", "mean_f1": "mean F1", "mse": "MSE", "tag_loss": "tag loss", "loss": "loss"}

WORDS = {"aiac": "AIAC", "ema": "EMA", "fgm": "FGM", "nextvlad": "NeXtVLAD", "r": "R",
         "rank1": "1st", "rank6": "6th", "rank17": "17th"}  # of names of questions  # fmt: skip


def missing(value: float | None) -> bool:
    """None or NaN."""
    return value is None or math.isnan(value)


def metric(name: str) -> str:
    """
    >>> metric("mean_f1"), metric("lv1_f1_micro")
    ('mean F1', 'lv1 f1 micro')
    """
    return METRICS.get(name, name.replace("_", " "))


def trick(name: str) -> str:
    """The name of a question or an arm as text.

    >>> trick("focal_tags"), trick("ema"), trick("quirks_aiac_rank6")
    ('focal tags', 'EMA', 'quirks AIAC 6th')
    """
    return " ".join(WORDS.get(word, word) for word in name.split("_"))


def listed(words: Iterable[str]) -> str:
    """
    >>> listed(["a"]), listed(["a", "b", "c"])
    ('a', 'a, b and c')
    """
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last


def score(value: float | None, digits: int = 3) -> str:
    """A metric's value.

    >>> score(0.88603), score(None)
    ('0.886', '–')
    """
    return NOTHING if missing(value) else f"{value:.{digits}f}".replace("-", MINUS)


def chance(value: float | None) -> str:
    """A p-value, which is never nothing.

    >>> chance(0.0421), chance(0.00002), chance(None)
    ('0.042', '< 0.001', '–')
    """
    return score(value) if missing(value) or value >= 0.0005 else "< 0.001"


def effect(value: float | None) -> str:
    """Two significant digits, as many as an effect is known to; no more than four places.

    >>> effect(0.01234), effect(0.5), effect(-0.000123456), effect(0.00001), effect(1.26)
    ('0.012', '0.5', '−0.0001', '0', '1.3')
    """
    if missing(value):
        return NOTHING
    return f"{float(f'{round(value, 4):.2g}') + 0.0:.4f}".rstrip("0").rstrip(".").replace("-", MINUS)


def points(value: float | None, sign: bool = True) -> str:
    """A difference in hundredths of the score, two digits.

    >>> points(0.0046), points(-0.2218), points(0.0001), points(0.0132, sign=False), points(0.0)
    ('+0.46', '−22', '+0.01', '1.3', '0')
    """
    if missing(value):
        return NOTHING
    hundredths = round(100 * value, 2 if abs(value) < 0.01 else 1 if abs(value) < 0.1 else 0) or 0
    return f"{hundredths:{'+' if sign and hundredths else ''}g}".replace("-", MINUS)


def difference(value: float | None) -> str:
    """An effect, always with its sign.

    >>> difference(0.0046), difference(-0.00123456), difference(-0.00001)
    ('+0.0046', '−0.0012', '0')
    """
    text = effect(value)
    return f"+{text}" if not missing(value) and value > 0 and text != "0" else text


def interval(low: float | None, high: float | None, digits: int = 3, signed: bool = False) -> str:
    """The two ends of an interval: of a score with so many places, or of an effect.

    >>> interval(0.71, 0.7734), interval(-0.001, 0.00214, signed=True)
    ('0.710 to 0.773', '−0.001 to +0.0021')
    """
    if missing(low) or missing(high):
        return NOTHING
    return f"{difference(low)} to {difference(high)}" if signed else f"{score(low, digits)} to {score(high, digits)}"


def ranged(value: float | None, low: float | None, high: float | None, signed: bool = False) -> str:
    """A score, or a difference, above its interval.

    >>> ranged(0.5, 0.4, 0.6), ranged(0.01, 0.0, 0.02, signed=True), ranged(None, None, None)
    ('0.500\\n0.400 to 0.600', '+0.01\\n0 to +0.02', '–')
    """
    show = difference if signed else score
    return NOTHING if missing(value) else f"{show(value)}\n{interval(low, high, signed=signed)}"


def count(value: float | None) -> str:
    """
    >>> count(1234567), count(12.0)
    ('1,234,567', '12')
    """
    return NOTHING if missing(value) else f"{round(value):,}"


def millions(value: float | None) -> str:
    """Parameters.

    >>> millions(325_114_112), millions(1_234_567), millions(98_304)
    ('325 M', '1.23 M', '98.3 k')
    """
    if missing(value):
        return NOTHING
    for limit, unit in ((1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{float(f'{value / limit:.3g}'):g} {unit}"
    return f"{value:.0f}"


def seconds(value: float | None) -> str:
    """
    >>> seconds(4.21), seconds(75), seconds(4000), seconds(180_000)
    ('4.2 s', '1 min 15 s', '1 h 7 min', '2 d 2 h')
    """
    if missing(value):
        return NOTHING
    if value < 60:
        return f"{value:.1f} s" if value < 10 else f"{value:.0f} s"
    big, small, names = (
        (60, 1, "min s") if value < 3600 else (3600, 60, "h min") if value < 86400 else (86400, 3600, "d h")
    )
    first, rest = divmod(round(value / small), big // small)
    one, other = names.split()
    return f"{first} {one} {rest} {other}" if rest else f"{first} {one}"


def share(value: float | None) -> str:
    """
    >>> share(0.687)
    '68.7 %'
    """
    return NOTHING if missing(value) else f"{100 * value:.1f} %"


def significant(value: float | None, digits: int = 3) -> str:
    """For numbers of any size: statistics of a corpus, norms, rates.

    >>> significant(12345.678), significant(0.01234), significant(3)
    ('12,346', '0.0123', '3')
    """
    if missing(value):
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) or abs(value) >= 1000:
        return f"{round(value):,}".replace("-", MINUS)
    return f"{float(f'{value:.{digits}g}'):g}".replace("-", MINUS)


def value(argument: Any) -> str:
    """A YAML value as one short text.

    >>> value("neg_inf"), value(None), value([1, True])
    ('neg_inf', 'null', '[1, true]')
    """
    return argument if isinstance(argument, str) else json.dumps(argument, ensure_ascii=False)


def literal(text: str) -> str:
    """Text of a corpus inside Markdown: nothing in it is a sign.

    >>> literal("a*b_c [d](e) `f`")
    'a\\\\*b\\\\_c \\\\[d\\\\](e) \\\\`f\\\\`'
    """
    return re.sub(r"([\\`*_\[\]<>#~$])", r"\\\1", " ".join(text.split()))


def plural(number: int, word: str, several: str = "") -> str:
    """
    >>> plural(1, "seed"), plural(3, "seed"), plural(2, "class", "classes")
    ('1 seed', '3 seeds', '2 classes')
    """
    return f"{number:,} {word if number == 1 else several or f'{word}s'}"
