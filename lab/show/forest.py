"""Forest: differences with their intervals, what was claimed, and what could have been seen at all, one line each."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lab.show import formats as f
from lab.show import style
from lab.show.table import Picture

DRAWN = ("label", "metric", "difference", "low", "high", "verdict", "claimed", "detectable")


def forest(rows: pd.DataFrame, name: str, to: str, interval: str, unit: str = "") -> Picture:
    """One panel a metric, rows in the order given; a second, narrow drawing has the labels above the lines.

    Args:
        rows: ``label``, ``metric``, ``difference``, ``low``, ``high``, ``verdict``, and ``claimed`` and ``detectable`` or NaN.
            Rows of one label below each other are one line with several claims.
        to: what is subtracted, as the axis names it; empty where that is plain.
        interval: what the intervals are, for the caption.
        unit: "points of " where numbers are not in units of ``metric``.
    """
    rows = rows.reindex(columns=list(DRAWN)).reset_index(drop=True)
    known = rows["low"].notna().any()
    parts = [f"Dot and line: measured, {interval}." if known else "Dot: measured; one seed has no interval."]
    parts += ["Diamond: claimed."] if rows["claimed"].notna().any() else []
    parts += ["Grey band: effects too small to be seen here."] if rows["detectable"].notna().any() else []
    metrics = f.listed(f.metric(metric) for metric in rows["metric"].unique())
    count = f.plural(rows["label"].nunique(), "comparison")
    alt = f"Differences in {metrics}{' to ' * bool(to)}{to} of {count}{', with intervals' if known else ''}"
    wide, narrow = (_figure(rows, to, width, unit) for width in (style.WIDTH, style.NARROW))
    return Picture(wide, rows, name, alt, " ".join(parts), narrow=narrow)


def _figure(rows: pd.DataFrame, to: str, width: float, unit: str) -> Figure:
    panels = [part for _, part in rows.groupby("metric", sort=False)]
    counts = [part["label"].nunique() for part in panels]
    line = 0.33 if width > style.NARROW else 0.46
    height = 0.6 + sum(0.5 + line * count for count in counts)
    figure, axes = style.canvas(width, height, rows=len(panels), squeeze=False, height_ratios=counts)
    for axis, part in zip(axes.flat, panels, strict=True):
        _panel(axis, part, width)
        metric = f.metric(part["metric"].iloc[0])
        axis.set_xlabel(f"difference in {unit}{metric}" + (f" to {to}" if to and width > style.NARROW else ""))
    handles = {label: one for axis in axes.flat for one, label in zip(*axis.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles, loc="outside lower right", ncols=4 if width > style.NARROW else 2)
    return figure


def _panel(axis: Axes, rows: pd.DataFrame, width: float) -> None:
    place = rows["label"].map({label: number for number, label in enumerate(rows["label"].unique())})
    bands = rows.assign(y=place).dropna(subset=["detectable"]).drop_duplicates("y")
    half = 0.36 if width > style.NARROW else 0.22
    for number, (y, reach) in enumerate(zip(bands["y"], bands["detectable"], strict=True)):
        axis.fill_between([-reach, reach], y - half, y + half, color=style.RULE, linewidth=0, zorder=0,
                          label="too small to be seen" if not number else None)  # fmt: skip
    for verdict in sorted(rows["verdict"].unique(), key=style.rank):
        chosen, look = rows["verdict"] == verdict, style.of_verdict(verdict)
        axis.hlines(place[chosen], rows.loc[chosen, "low"], rows.loc[chosen, "high"], color=look.colour, linewidth=2.4)
        axis.plot(rows.loc[chosen, "difference"], place[chosen], look.marker, color=look.colour, markersize=7,
                  markerfacecolor=look.colour if look.filled else "white", label=look.word)  # fmt: skip
    known = rows["claimed"].notna()
    if known.any():
        axis.plot(rows.loc[known, "claimed"], place[known], "D", color=style.ORANGE, markeredgecolor=style.INK,
                  markeredgewidth=0.6, label="claimed")  # fmt: skip
    axis.axvline(0, color=style.INK, linewidth=0.9)
    labels = list(rows["label"].unique())
    axis.set_yticks(range(len(labels)), labels if width > style.NARROW else [""] * len(labels))
    axis.set_ylim(len(labels) - 0.4, -0.6 if width > style.NARROW else -0.8)
    if width <= style.NARROW:
        for y, label in enumerate(labels):
            axis.text(0, y - 0.25, label, transform=axis.get_yaxis_transform(), fontsize=8, va="bottom")
    axis.grid(axis="y", visible=False)
    axis.margins(x=0.04)
    axis.locator_params(axis="x", nbins=7 if width > style.NARROW else 4)
    axis.tick_params(axis="x", top=len(labels) > 12, labeltop=len(labels) > 12)
