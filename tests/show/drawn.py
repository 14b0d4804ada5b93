"""Numbers read back from what a figure draws."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.figure import Figure


def bars(axis: Axes, which: int = 0) -> np.ndarray:
    """float [n, 2, 2]: both ends (x, y) of each bar drawn by ``hlines`` or ``vlines``; NaN where nothing is drawn."""
    found = [collection for collection in axis.collections if isinstance(collection, LineCollection)][which]
    return np.array([path.vertices for path in found.get_paths()])


def dots(axis: Axes, which: int = 0) -> np.ndarray:
    """float [n, 2]: centres of the dots of a scatter."""
    return np.asarray([c for c in axis.collections if isinstance(c, PathCollection)][which].get_offsets())


def line(axis: Axes, label: str) -> np.ndarray:
    """float [n, 2]: the points of the line with this label."""
    found = [line for line in axis.lines if line.get_label() == label]
    assert len(found) == 1, [line.get_label() for line in axis.lines]
    return np.asarray(found[0].get_xydata(), float)


def ticks(axis: Axes) -> list[str]:
    """The words at the y axis, from above to below as they are numbered."""
    return [text.get_text() for text in axis.get_yticklabels()]


def heights(axis: Axes) -> list[float]:
    """Of bars, from left to right."""
    return [patch.get_height() for patch in axis.patches]


def words(figure: Figure) -> list[str]:
    """Of the legends of a figure and its axes."""
    legends = [*figure.legends, *(axis.get_legend() for axis in figure.axes if axis.get_legend())]
    return [text.get_text() for legend in legends for text in legend.get_texts()]
