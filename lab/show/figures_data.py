"""Figures of a corpus, before anything is trained: one function per figure, data frame in, figure out."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lab.show import style


def long_tail(counts: pd.Series, what: str) -> Figure:
    """Videos per tag or class against its rank, both logarithmic. Args: counts: most frequent first."""
    figure, axis = style.canvas(height=3.0)
    _against_rank(axis, counts[counts > 0].to_numpy())
    axis.set(xlabel=f"rank of the {what}", ylabel="videos")
    return figure


def _against_rank(axis: Axes, values: np.ndarray) -> None:
    """Values [n], largest first; of thousands of ranks on a logarithmic axis no more than these can be seen."""
    ranks = np.unique(np.geomspace(1, max(1, len(values)), 300).round().astype(int))
    axis.loglog(ranks, values[ranks - 1], marker=".", linewidth=0.8, markersize=4)


def lengths(table: pd.DataFrame) -> Figure:
    """Histograms of text lengths (characters) and frames per video; fields that are always empty are left out."""
    fields = [field for field in ("title", "asr", "ocr", "frames") if table[field].max() > 0]
    figure, axes = style.canvas(height=2.6, columns=len(fields), squeeze=False)
    for axis, field in zip(axes[0], fields, strict=True):
        values = table[field]
        step = -(-int(values.max()) // 30)  # whole numbers to a bar, the same of them to each: no gaps
        edges = np.arange(0.5, values.max() + step, step)
        axis.hist(values[values > 0], bins=edges, edgecolor="white", linewidth=0.4)
        axis.set(title=field, xlabel="frames" if field == "frames" else "characters")
    axes[0][0].set_ylabel("videos")
    return figure


def missing(table: pd.DataFrame) -> Figure:
    """Share of videos whose field is empty, per part."""
    shares = (table.set_index("part")[["title", "asr", "ocr"]] == 0).groupby(level=0).mean()
    figure, axis = style.canvas(height=0.9 + 0.35 * len(shares) * 3)
    labels = [f"{part}: {field}" for part in shares.index for field in shares.columns]
    axis.barh(labels[::-1], shares.to_numpy().reshape(-1)[::-1])
    axis.set(xlim=(0, 1), xlabel="share of videos without it")
    return figure


def scores(pairs: pd.DataFrame) -> Figure:
    """How often each similarity was given, in steps of 0.05."""
    figure, axis = style.canvas(height=2.8)
    level = (pairs["score"] * 20).round().astype(int)
    counts = level.value_counts().reindex(range(21), fill_value=0)
    axis.bar(counts.index / 20, counts.to_numpy(), width=0.04)
    axis.set(xlabel="similarity given by people", ylabel="pairs")
    return figure


def components(sizes: pd.Series) -> Figure:
    """Pairs per connected component of the pair graph, largest first, both logarithmic."""
    figure, axis = style.canvas(height=2.8)
    _against_rank(axis, sizes.to_numpy())
    axis.set(xlabel="rank of the component", ylabel="pairs in it")
    return figure
