"""Figures about classes of a long tail: F1 against frequency, and how far a classifier's confidence can be trusted."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lab.show import style
from lab.show.longtail import THIRDS
from lab.show.rows import named

FEW = 5  # validation videos; the F1 of a class with fewer is mostly luck
COLOURS = dict(zip(THIRDS, (style.BLUE, style.GREEN, style.ORANGE), strict=True))


def long_tail(frame: pd.DataFrame) -> Figure:
    """F1 of each class against its training videos; the line is the mean over classes of similar size.

    Args:
        frame: a row per class: ``train``, ``videos`` (of the validation part), ``f1`` (rows without are left out),
            ``third`` (head, middle, tail).
    """
    frame = frame.dropna(subset=["f1"])
    figure, axis = style.canvas(height=3.4)
    for third in THIRDS:
        for few in (False, True):
            part = frame[(frame["third"] == third) & ((frame["videos"] < FEW) == few)]
            axis.scatter(
                part["train"],
                part["f1"],
                s=22,
                alpha=0.75,
                facecolors="none" if few else COLOURS[third],
                edgecolors=COLOURS[third],
                linewidths=1.0 if few else 0,
                label=None if few else third,
            )
    axis.scatter([], [], s=22, facecolors="none", edgecolors=style.MUTED, label=f"fewer than {FEW} validation videos")
    edges = np.unique(np.geomspace(1, frame["train"].max() + 1, 8))
    if len(edges) > 2:
        bins = pd.cut(frame["train"], np.concatenate([[0], edges]), right=False)
        means = frame.groupby(bins, observed=True)[["train", "f1"]].mean()
        axis.plot(means["train"], means["f1"], color=style.RED, marker="o", markersize=4, label="mean, similar size")
    axis.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=5, columnspacing=1.1, handletextpad=0.4, fontsize=8)
    axis.set_xscale("symlog", linthresh=1, linscale=0.4)  # a class may have no training video at all
    axis.set_xlim(left=-0.2 if (frame["train"] == 0).any() else max(0.8 * frame["train"].min(), 0.5))
    axis.xaxis.set_major_formatter("{x:g}")
    axis.set(xlabel="training videos of the class", ylabel="F1 of the class", ylim=(-0.04, 1.04))
    return figure


def reliability(bins: pd.DataFrame) -> Figure:
    """Accuracy against confidence, and below how many answers had that confidence.

    Args:
        bins: rows of ``lab.show.calibration.reliability``.
    """
    figure, (upper, lower) = style.canvas(
        width=4.6, height=4.6, rows=2, sharex=True, gridspec_kw={"height_ratios": [3.2, 1]}
    )
    width = float(bins["to"].iloc[0] - bins["from"].iloc[0])
    known = bins[bins["n"] > 0]
    upper.bar(known["from"], known["accuracy"], width, align="edge", color=style.SKY, alpha=0.55, label="accuracy")
    for row in named(known):
        upper.plot([row.confidence] * 2, [row.accuracy, row.confidence], color=style.RED, linewidth=1.4, zorder=2)
    upper.plot(known["confidence"], known["accuracy"], "o", color=style.BLUE, markersize=4, zorder=3)
    upper.plot([], [], color=style.RED, linewidth=1.4, label="gap to the confidence")
    upper.plot([0, 1], [0, 1], color=style.MUTED, linewidth=1, linestyle=":", label="as sure as it may be")
    upper.legend(loc="upper left")
    upper.set(ylabel="share of right answers", xlim=(0, 1), ylim=(0, 1.02))
    lower.bar(bins["from"], bins["n"], width, align="edge", color=style.MUTED, alpha=0.7)
    lower.set(xlabel="confidence: largest softmax probability", ylabel="videos")
    return figure
