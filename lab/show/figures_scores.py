"""Where a system is right and where it is wrong: predictions, slices, confusion."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lab.show import style
from lab.show.figures_space import AS_SHAPES
from lab.show.formats import metric as metric_name
from lab.show.rows import named


def predicted_against_true(predicted: np.ndarray, truth: np.ndarray, name: str = "cosine") -> Figure:
    """Two panels: predicted against human score, and the same as ranks, which is all that Spearman sees.

    Args:
        predicted, truth: float [P].
    """
    from scipy.stats import rankdata

    figure, (left, right) = style.canvas(height=3.2, columns=2)
    many = len(truth) > AS_SHAPES
    dots = {"s": 9, "alpha": 0.35, "color": style.BLUE, "linewidths": 0, "rasterized": many}
    jitter = np.random.default_rng(0).uniform(-0.012, 0.012, len(truth))  # human scores lie on 21 levels
    left.scatter(truth + jitter, predicted, **dots)
    levels = pd.Series(predicted).groupby(np.round(truth, 2)).agg(["median", "size"])
    levels = levels[levels["size"] >= 5]
    left.plot(levels.index, levels["median"], color=style.RED, linewidth=1.6, marker="o", markersize=3, label="median")
    left.legend(loc="lower right")
    left.set(xlabel="human score", ylabel=f"predicted {name}", title="Values")
    ranks = [rankdata(values) / len(values) for values in (truth, predicted)]
    right.scatter(*ranks, **dots)
    right.plot([0, 1], [0, 1], color=style.FAINT, linewidth=1, zorder=0)
    right.set(
        xlabel="rank of human score",
        ylabel="rank of prediction",
        title="Ranks",
        aspect="equal",
        xlim=(-0.02, 1.02),
        ylim=(-0.02, 1.02),
    )
    return figure


def slices(frame: pd.DataFrame, metric: str, overall: float | None = None) -> Figure:
    """Score by slice with its interval; a dotted line marks the score over everything.

    Args:
        frame: columns ``by``, ``slice``, ``n``, ``score``, ``low``, ``high``; a block of rows per ``by``; may be empty.
    """
    figure, axis = style.canvas(height=0.8 + 0.27 * (len(frame) + frame["by"].nunique()))
    labels, positions, y = [], [], 0.0
    for by, block in frame.groupby("by", sort=False):
        axis.annotate(
            by,
            (0, y),
            xycoords=("axes fraction", "data"),
            xytext=(-6, 0),
            textcoords="offset points",
            ha="right",
            va="center",
            fontweight="bold",
            fontsize=8.5,
        )
        y += 1
        for row in named(block):
            if pd.notna(row.low):
                axis.plot([row.low, row.high], [y, y], color=style.SKY, linewidth=2.4, solid_capstyle="round", zorder=1)
            axis.plot(row.score, y, "o", color=style.BLUE, markersize=5.5, zorder=2)
            labels.append(f"{row.slice}  (n = {row.n:,})")
            positions.append(y)
            y += 1
        y += 0.3
    if frame.empty:
        axis.set_title("too few validation items to slice", fontweight="normal")
    if overall is not None:
        axis.axvline(overall, color=style.MUTED, linewidth=1, linestyle=":")
    axis.set_yticks(positions, labels)
    axis.set_ylim(y - 0.5, -0.7)
    axis.grid(axis="y", visible=False)
    axis.set_xlabel(metric_name(metric))
    return figure


def confusion(matrix: np.ndarray, names: list[str], what: str = "videos") -> Figure:
    """Share of each true class (row) that was given each class (column); the diagonal is what was right.

    Args:
        matrix: counts [C, C], rows are truth.
        what: is counted.
    """
    size = 0.9 + 0.21 * len(names)
    figure, axis = style.canvas(width=min(style.WIDTH, size + 1.6), height=min(5.4, size + 0.4))
    totals = matrix.sum(axis=1, keepdims=True)
    shares = np.divide(matrix, totals, out=np.zeros_like(matrix, dtype=float), where=totals > 0)
    image = axis.imshow(shares, cmap=style.HEAT, vmin=0, vmax=1, interpolation="nearest")
    ticks = np.arange(len(names))
    axis.set_xticks(ticks, names, rotation=90, fontsize=7.5)
    axis.set_yticks(
        ticks, [f"{name} ({int(total)})" for name, total in zip(names, totals[:, 0], strict=True)], fontsize=7.5
    )
    axis.set(xlabel="given", ylabel=f"true ({what})")
    axis.grid(visible=False)
    figure.colorbar(
        image, ax=axis, shrink=0.6, label="share of the row" if what != "videos" else "share of the true class"
    )
    return figure


def teacher_student(teacher: np.ndarray, student: np.ndarray, truth: np.ndarray) -> Figure:
    """Each point is a validation pair: teacher's cosine, student's cosine, human score as colour."""
    figure, axis = style.canvas(width=4.8, height=3.9)
    dots = axis.scatter(
        teacher,
        student,
        c=truth,
        cmap=style.SEQUENTIAL,
        s=11,
        alpha=0.8,
        linewidths=0,
        rasterized=len(truth) > AS_SHAPES,
    )
    ends = [min(teacher.min(), student.min()), max(teacher.max(), student.max())]
    axis.plot(ends, ends, color=style.FAINT, linewidth=1, zorder=0)
    axis.set(xlabel="teacher's cosine", ylabel="student's cosine", aspect="equal")
    figure.colorbar(dots, ax=axis, label="human score", shrink=0.8)
    return figure
