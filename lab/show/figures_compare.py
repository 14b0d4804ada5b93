"""Runs against runs: forest plot of questions, scores of systems, cost, members of an ensemble."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lab.show import style
from lab.show.formats import metric as metric_name
from lab.show.rows import named


def forest(frame: pd.DataFrame, metric: str = "score", reference: str = "the reference arm") -> Figure:
    """Paired differences to the reference arm with 95 % intervals; the diamond is what its authors claimed.

    Args:
        frame: a row per comparison: ``label``, ``difference``, ``low``, ``high``, ``verdict``, ``claimed`` or NaN.
    """
    figure, axis = style.canvas(height=1.1 + 0.33 * len(frame))
    for y, row in enumerate(named(frame)):
        colour = style.VERDICT.get(row.verdict, style.MUTED)
        if pd.notna(row.low) and pd.notna(row.high):
            axis.plot([row.low, row.high], [y, y], color=colour, linewidth=2.6, solid_capstyle="round", alpha=0.85)
        marker = {"helps": ">", "hurts": "<"}.get(row.verdict, "o")
        axis.plot(row.difference, y, marker, color=colour, markersize=7, markeredgecolor="white", markeredgewidth=0.8)
        if pd.notna(row.claimed):
            axis.plot(
                row.claimed,
                y,
                "D",
                color=style.ORANGE,
                markersize=6,
                markeredgecolor="white",
                markeredgewidth=0.6,
                zorder=4,
            )
    axis.axvline(0, color=style.INK, linewidth=0.9)
    axis.set_yticks(range(len(frame)), frame["label"])
    axis.set_ylim(len(frame) - 0.4, -0.6)
    axis.grid(axis="y", visible=False)
    axis.set_xlabel(f"difference in {metric_name(metric)} to {reference}")
    _widen(axis)
    _forest_legend(figure, frame)
    return figure


def _widen(axis) -> None:
    """The zero line is always inside, and no interval ends on the frame."""
    low, high = axis.get_xlim()
    low, high = min(low, 0), max(high, 0)
    axis.set_xlim(low - 0.04 * (high - low), high + 0.04 * (high - low))
    axis.locator_params(axis="x", nbins=7)


def _forest_legend(figure: Figure, frame: pd.DataFrame) -> None:
    seen = set(frame["verdict"])
    handles = [
        Line2D([], [], color=style.VERDICT[word], marker=mark, markersize=7, linewidth=2.6, label=word)
        for word, mark in (("helps", ">"), ("hurts", "<"))
        if word in seen
    ]
    for word in sorted(seen - set(style.VERDICT)):
        handles.append(Line2D([], [], color=style.MUTED, marker="o", markersize=7, linewidth=2.6, label=word))
    if frame["claimed"].notna().any():
        handles.append(Line2D([], [], color=style.ORANGE, marker="D", markersize=6, linewidth=0, label="claimed"))
    figure.legend(handles=handles, loc="outside lower right", ncols=len(handles))


def scoreboard(frame: pd.DataFrame, metric: str) -> Figure:
    """One line per system: its score with interval, each seed as a tick, oracle and published scores beside.

    Args:
        frame: ``label``, ``score``, ``low``, ``high``, ``seeds`` (list), ``oracle``, ``published`` (list of values).
    """
    figure, axis = style.canvas(height=1.15 + 0.42 * len(frame))
    for y, row in enumerate(named(frame)):
        if pd.notna(row.low):
            axis.plot([row.low, row.high], [y, y], color=style.SKY, linewidth=3, solid_capstyle="round", zorder=1)
        axis.plot(row.seeds, [y] * len(row.seeds), "|", color=style.BLUE, markersize=10, zorder=2)
        axis.plot(row.score, y, "o", color=style.BLUE, markersize=7, zorder=3)
        axis.plot(row.published, [y] * len(row.published), "D", color=style.ORANGE, markersize=6, zorder=3)
        if pd.notna(row.oracle):
            axis.plot([row.oracle] * 2, [y - 0.3, y + 0.3], color=style.GREEN, linewidth=2)
    axis.set_yticks(range(len(frame)), frame["label"])
    axis.set_ylim(len(frame) - 0.4, -0.6)
    axis.grid(axis="y", visible=False)
    axis.set_xlabel(metric_name(metric))
    handles = [
        Line2D(
            [],
            [],
            color=style.SKY,
            marker="o",
            markerfacecolor=style.BLUE,
            markeredgecolor=style.BLUE,
            linewidth=3,
            label="ours, 95 %",
        ),
        Line2D([], [], color=style.BLUE, marker="|", markersize=10, linewidth=0, label="a seed"),
    ]
    if frame["published"].map(len).any():
        handles.append(Line2D([], [], color=style.ORANGE, marker="D", linewidth=0, label="published, other data"))
    if frame["oracle"].notna().any():
        handles.append(Line2D([], [], color=style.GREEN, linewidth=2, label="oracle"))
    figure.legend(handles=handles, loc="outside lower right", ncols=len(handles))
    return figure


def cost_against_score(frame: pd.DataFrame, metric: str) -> Figure:
    """Training seconds (all stages) against score; up and to the left is better.

    Only what nothing cheaper beats has a number and a name; names of all would hide each other.

    Args:
        frame: ``label`` (its first word is the system, which has one colour), ``seconds``, ``score``, ``low``, ``high``.
    """
    frame = frame.assign(system=frame["label"].str.split().str[0], best=on_front(frame))
    frame = frame.sort_values(["seconds", "score"], ascending=[True, False], kind="stable", ignore_index=True)
    palette = style.colours(sorted(set(frame["system"])))
    figure, axis = style.canvas(height=3.6)
    named_ones, others = [], {}
    for row in named(frame):
        colour = palette[row.system]
        if pd.notna(row.low):
            axis.plot(
                [row.seconds] * 2, [row.low, row.high], color=colour, alpha=0.3, linewidth=2, solid_capstyle="round"
            )
        face = colour if row.best else "white"
        (dot,) = axis.plot(row.seconds, row.score, "o", color=colour, markersize=7, markerfacecolor=face)
        if not row.best:
            others[f"others of {row.system}"] = dot
            continue
        named_ones.append((dot, f"{len(named_ones) + 1}  {row.label}"))
        axis.annotate(
            str(len(named_ones)), (row.seconds, row.score), xytext=(-5, 4), textcoords="offset points", ha="right"
        )
    front = frame[frame["best"]]
    axis.plot(front["seconds"], front["score"], color=style.FAINT, linewidth=1, drawstyle="steps-post", zorder=0)
    axis.set_xscale("log")
    axis.set_xlim(frame["seconds"].min() / 1.3, frame["seconds"].max() * 1.3)
    axis.xaxis.set_major_formatter("{x:g}")
    axis.xaxis.set_minor_formatter("{x:g}")
    axis.set(xlabel="training seconds, all stages (log scale)", ylabel=metric_name(metric))
    handles, labels = zip(*named_ones, *((dot, label) for label, dot in sorted(others.items())), strict=True)
    figure.legend(handles, labels, loc="outside lower center", ncols=2, title="numbered: nothing cheaper scores higher")
    return figure


def on_front(frame: pd.DataFrame) -> np.ndarray:
    """bool [N]: no other row costs as little or less and scores higher, or costs less and scores the same.

    >>> on_front(pd.DataFrame({"seconds": [1, 2, 3, 3], "score": [0.2, 0.1, 0.5, 0.4]})).tolist()
    [True, False, True, False]
    """
    seconds, score = frame["seconds"].to_numpy(), frame["score"].to_numpy()
    no_dearer, no_worse = seconds[:, None] <= seconds, score[:, None] >= score
    better = (seconds[:, None] < seconds) | (score[:, None] > score)
    return ~(no_dearer & no_worse & better).any(axis=0)


def member_similarity(matrix: np.ndarray, names: list[str]) -> Figure:
    """How alike the members' predictions are, as rank correlations; the less alike, the more there is to gain."""
    size = 1.1 + 0.42 * len(names)
    figure, axis = style.canvas(width=min(style.WIDTH, size + 2.0), height=min(6.0, size + 0.7))
    off = matrix[~np.eye(len(names), dtype=bool)]
    low = float(off.min()) if len(off) else 0.0
    image = axis.imshow(
        np.where(np.eye(len(names), dtype=bool), np.nan, matrix), cmap=style.HEAT, vmin=low - 0.15 * (1 - low), vmax=1
    )
    middle = (low + 1) / 2
    for row in range(len(names)):
        for column in range(len(names)):
            if row != column:
                ink = "white" if matrix[row, column] > middle else style.INK
                axis.text(column, row, f"{matrix[row, column]:.3f}", ha="center", va="center", fontsize=8, color=ink)
    axis.set_xticks(range(len(names)), names, rotation=45, ha="right")
    axis.set_yticks(range(len(names)), names)
    axis.grid(visible=False)
    axis.spines[:].set_visible(False)
    figure.colorbar(image, ax=axis, shrink=0.7, label="rank correlation")
    return figure


def growth(frame: pd.DataFrame, metric: str) -> Figure:
    """Score of the ensemble of the first n members (best first) beside each member alone.

    Args:
        frame: ``members`` (n), ``ensemble`` (score of the first n), ``single`` (score of the n-th alone).
    """
    figure, axis = style.canvas(height=2.8)
    axis.plot(frame["members"], frame["single"], "o", color=style.FAINT, markersize=8, label="the n-th member alone")
    axis.plot(frame["members"], frame["ensemble"], color=style.BLUE, marker="o", label="ensemble of the first n")
    axis.set_xticks(frame["members"])
    axis.margins(y=0.15)
    axis.set(xlabel="members", ylabel=metric_name(metric))
    axis.legend(loc="best")
    return figure
