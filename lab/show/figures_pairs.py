"""Figures about pairs in bins: what a cosine is worth, and what the frequency of tags has to do with it."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lab.show import style
from lab.show.rows import named


def similarity_calibration(frame: pd.DataFrame, cosine: np.ndarray) -> Figure:
    """Mean human score against mean cosine, bin by bin; below how many pairs have that cosine.

    Args:
        frame: of ``lab.show.pair_bins.by_cosine``; the label as the loss saw it is drawn where it is another.
        cosine: float [P], of all pairs.
    """
    figure, (upper, lower) = style.canvas(
        width=4.9, height=4.8, rows=2, sharex=True, gridspec_kw={"height_ratios": [3.2, 1]}
    )
    _with_intervals(upper, frame["cosine"], frame["score"], frame["low"], frame["high"], "human score, 95 %")
    if not np.allclose(frame["target"], frame["score"]):
        upper.plot(
            frame["cosine"],
            frame["target"],
            color=style.ORANGE,
            marker="D",
            markerfacecolor="none",
            label="label as the loss saw it",
        )
    upper.axline((0, 0), slope=1, color=style.MUTED, linewidth=1, linestyle=":", label="cosine = score")
    upper.legend(loc="upper left")
    ends = float(min(0.0, cosine.min())), float(max(1.0, cosine.max()))
    upper.set(ylabel="mean label of the pairs", xlim=ends, ylim=(-0.04, 1.04))
    lower.hist(cosine, bins=np.linspace(*ends, 31), color=style.MUTED, alpha=0.7)
    lower.set(xlabel="predicted cosine", ylabel="pairs")
    return figure


def by_tag_frequency(frame: pd.DataFrame, spearman: float) -> Figure:
    """Two panels over the frequency of a pair's tags: Spearman within each bin, and how far ranks are off.

    Args:
        frame: of ``lab.show.pair_bins.by_tag_frequency``; may be empty.
        spearman: over all pairs.
    """
    figure, (left, right) = style.canvas(height=3.0, columns=2)
    x = frame["frequency"]
    _with_intervals(left, x, frame["spearman"], frame["spearman_low"], frame["spearman_high"], "within the bin, 95 %")
    left.axhline(spearman, color=style.MUTED, linewidth=1, linestyle=":", label="all pairs")
    left.set(ylabel="Spearman", title="Order within the bin")
    _with_intervals(right, x, frame["gap"], frame["gap_low"], frame["gap_high"], "mean gap, 95 %")
    right.plot(x, frame["chance"], color=style.MUTED, linewidth=1, linestyle=":", label="scores shuffled")
    right.set(ylabel="gap of ranks, 0 to 1", title="Distance from the right rank")
    right.set_ylim(bottom=0)
    for axis in (left, right):
        axis.set_xscale("symlog", linthresh=1, linscale=0.4)  # a video may have no known tag
        axis.xaxis.set_major_formatter("{x:g}")
        if len(x):
            axis.set_xlim(0.8 * x.min() if x.min() >= 1 else -0.2, 1.25 * x.max() + 0.1)
        axis.set_xlabel("training videos with the tag")
        axis.margins(y=0.2)  # room for the legend
        axis.legend(loc="best")
    return figure


def _with_intervals(axis: Axes, x: pd.Series, y: pd.Series, low: pd.Series, high: pd.Series, label: str) -> None:
    for row in named(pd.DataFrame({"x": x, "low": low, "high": high}).dropna()):
        axis.plot([row.x, row.x], [row.low, row.high], color=style.SKY, linewidth=2.4, solid_capstyle="round", zorder=1)
    axis.plot(x, y, color=style.BLUE, marker="o", linewidth=1.2, label=label, zorder=2)
