"""A system drawn as its five slots: what goes in, which part fills each slot, what comes out."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from lib.reporting import style

# slot -> (x, y, width): text and frames meet in the fusion
PLACES = {
    "text": (1.85, 1.55, 1.75),
    "frames": (1.85, 0.35, 1.75),
    "fusion": (4.15, 0.95, 1.5),
    "pooling": (6.05, 0.95, 1.3),
    "head": (7.75, 0.95, 1.3),
}
HEIGHT = 0.66
ARROWS = (("text", "fusion"), ("frames", "fusion"), ("fusion", "pooling"), ("pooling", "head"))


def slots(parts: Mapping[str, str], output: str) -> Figure:
    """The five slots with the class that fills each.

    Args:
        parts: slot (text, frames, fusion, pooling, head) -> class name.
        output: what leaves the head ("embedding" or "class logits").
    """
    figure, axis = style.canvas(height=1.6)
    axis.set(xlim=(0, 10.45), ylim=(0.25, 2.3), aspect="equal")
    axis.set_axis_off()
    for slot, (x, y, width) in PLACES.items():
        edge = style.BLUE if slot in ("text", "frames") else style.INK
        axis.add_patch(
            FancyBboxPatch(
                (x, y),
                width,
                HEIGHT,
                boxstyle="round,pad=0.02,rounding_size=0.1",
                facecolor="#f4f6f9",
                edgecolor=edge,
                linewidth=1.1,
            )
        )
        axis.text(x + width / 2, y + HEIGHT - 0.18, slot, ha="center", va="center", fontsize=7.5, color=style.MUTED)
        name = parts[slot]
        axis.text(
            x + width / 2,
            y + 0.24,
            name,
            ha="center",
            va="center",
            fontsize=8.2 if len(name) < 15 else 7,
            fontweight="bold",
        )
    for source, target in ARROWS:
        (x1, y1, width), (x2, y2, _) = PLACES[source], PLACES[target]
        _arrow(axis, (x1 + width + 0.05, y1 + HEIGHT / 2), (x2 - 0.05, y2 + HEIGHT / 2))
    for name, slot in (("title, ASR,\nOCR", "text"), ("frame\nfeatures", "frames")):
        y = PLACES[slot][1] + HEIGHT / 2
        axis.text(1.35, y, name, ha="right", va="center", fontsize=8.5)
        _arrow(axis, (1.42, y), (PLACES[slot][0] - 0.05, y))
    x, y, width = PLACES["head"]
    _arrow(axis, (x + width + 0.05, y + HEIGHT / 2), (x + width + 0.4, y + HEIGHT / 2))
    axis.text(x + width + 0.45, y + HEIGHT / 2, output, ha="left", va="center", fontsize=8.5)
    return figure


def _arrow(axis, start: tuple[float, float], end: tuple[float, float]) -> None:
    axis.add_patch(
        FancyArrowPatch(
            start, end, arrowstyle="-|>", mutation_scale=9, color=style.MUTED, linewidth=1.1, shrinkA=0, shrinkB=0
        )
    )
