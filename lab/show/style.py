"""One look for every figure: colour-blind safe, Chinese glyphs, the same bytes each time it is saved.

Figures are drawn without pyplot's global state: ``canvas()`` gives a Figure and its Axes, whoever asks for it owns it.
"""

from __future__ import annotations

import io
import logging
import re
from functools import cache
from typing import Any, NamedTuple

from cycler import cycler
from matplotlib import rc
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from lib.evaluation.compare import HELPS, HURTS, NO_EFFECT, NOT_IN_PLAY, RULED_OUT, TOO_SMALL

# Okabe and Ito's palette: distinguishable with every common colour blindness and in grey.
BLUE, ORANGE, GREEN, RED = "#0072B2", "#E69F00", "#009E73", "#D55E00"
PURPLE, SKY, YELLOW, INK = "#CC79A7", "#56B4E9", "#F0E442", "#1f2430"
SERIES = (BLUE, ORANGE, GREEN, PURPLE, RED, SKY, INK, YELLOW)
MUTED, FAINT, RULE = "#6b7280", "#b8bec8", "#e3e6eb"
DARK = "#8a3f6b"  # PURPLE, for letters
HEAT = "Blues"  # for matrices: nothing is white

FONTS = "'DejaVu Sans', 'Noto Sans SC'"  # as matplotlib writes them

AS_SHAPES = 200  # dots or cells; more of them are one image, a tenth of the bytes
WIDTH = 6.8  # inches at 100 %: the text column of a page
NARROW = 3.3  # that of a telephone


class Look(NamedTuple):
    """How a verdict looks in every figure and table: its word without a number, and the class of its chip."""

    word: str
    kind: str
    colour: str
    marker: str = "o"
    filled: bool = True


LOOKS = (
    Look(HELPS, "helps", BLUE, ">"), Look(HURTS, "hurts", RED, "<"), Look(RULED_OUT, "ruled", DARK),
    Look(NO_EFFECT, "none", GREEN), Look(TOO_SMALL, "small", MUTED, filled=False), Look(NOT_IN_PLAY, "idle", FAINT, "x"),
)  # fmt: skip


def of_verdict(verdict: str) -> Look:
    """The look of a verdict; a word that is none has a plain one."""
    return next((look for look in LOOKS if verdict.startswith(look.word)), Look(verdict, "idle", MUTED, filled=False))


def rank(verdict: str) -> tuple[int, str]:
    """Verdicts in one order everywhere."""
    return next((place for place, look in enumerate(LOOKS) if verdict.startswith(look.word)), len(LOOKS)), verdict


@cache
def use() -> None:
    """Set matplotlib's defaults once.

    ``font.family`` must be a list: only then does matplotlib look for a missing glyph in the next font.
    """
    import pylopdf_fonts_zh_cn
    from matplotlib import font_manager

    font_manager.fontManager.addfont(str(pylopdf_fonts_zh_cn.sans_path()))
    # The Chinese font has no bold cut; that is fine.
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
    rc("font", family=["DejaVu Sans", "Noto Sans SC"], size=9.5)
    rc("text", color=INK, parse_math=False)  # a "$" in a category is a dollar; logarithmic axes get a plain formatter
    rc("axes", titlesize=10.5, titleweight="bold", titlelocation="left", titlepad=9, labelsize=9.5, labelcolor=INK)
    rc("axes", edgecolor=FAINT, linewidth=0.8, facecolor="none", axisbelow=True, prop_cycle=cycler(color=SERIES))
    rc("axes.spines", top=False, right=False)
    rc("axes", grid=True)
    rc("grid", color=RULE, linewidth=0.7)
    rc(("xtick", "ytick"), labelsize=8.5, color=MUTED, labelcolor=INK)
    rc("xtick.major", size=3)
    rc("ytick.major", size=0)
    rc("legend", frameon=False, fontsize=8.5, handlelength=1.6)
    rc("lines", linewidth=1.8, markersize=5)
    rc(("figure", "savefig"), facecolor="white")
    rc("figure", dpi=100)
    rc("svg", fonttype="none", hashsalt="vidlab")


def canvas(
    width: float = WIDTH, height: float = 3.2, rows: int = 1, columns: int = 1, **subplots
) -> tuple[Figure, Any]:
    """A new Figure and its Axes (one, or an array of them), in house style.

    Args:
        width, height: inches; 6.8 is the width of a page's text column.
        subplots: passed to ``Figure.subplots``.
    """
    use()
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(rows, columns, **subplots)


def svg(figure: Figure) -> str:
    """The figure as SVG text: no date, fixed ids, two decimals (a hundredth of a point); equal figures give equal text.

    Letters stay letters in the reader's own font; where they stand was measured with the fonts of :func:`use`.
    """
    use()
    if (engine := figure.get_layout_engine()) is not None:  # once: a second pass would move things by a hair
        engine.execute(figure)
        figure.set_layout_engine("none")
    buffer, dpi = io.StringIO(), figure.dpi
    try:  # without savefig's rehearsal: the layout is settled, and a report draws many figures
        FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None, "Creator": None})
    finally:
        figure.set_dpi(dpi)
    # Short numbers in attributes only: what is written in the figure keeps its digits.
    text = re.sub(r"<[^>]+>", lambda tag: re.sub(r"(\d\.\d\d)\d+", r"\1", tag[0]), buffer.getvalue())
    text = text.replace(FONTS, f"{FONTS}, sans-serif")
    # A page or a notebook has a head of its own; indents and what stands in every file alike are a seventh of the bytes.
    return re.sub(r"\n +", "\n", re.sub(r"\s*<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.S))
