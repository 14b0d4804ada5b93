"""The two-level category tree with the answers hung on it: right, a sibling's, or another branch's, and which one's."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch

from lab.show import style
from lab.show.predictions import ClassPredictions
from lab.show.rows import named
from lib.data.vocabulary import CategoryTree

OUTCOMES = {"right": style.BLUE, "sibling": style.SKY, "elsewhere": style.ORANGE}
ARROWS = 12  # the most frequent ways from one branch to another; more of them hide each other
LINE = 0.21  # inches of a branch


def branches(result: ClassPredictions, tree: CategoryTree) -> pd.DataFrame:
    """Upper classes in the order of the tree; those without a video and without an answer are left out.

    Returns:
        a row per upper class: ``branch`` (name), ``classes`` (below it), ``videos``, and of these ``right`` (the lower class
        too), ``sibling`` (another class below it) and ``elsewhere``; ``received``: answers from other branches.
    """
    truth, given = tree.level1_of_level2[result.truth], tree.level1_of_level2[result.predicted]
    size = len(tree.level1_names)

    def count(branch: np.ndarray, which: np.ndarray) -> np.ndarray:
        return np.bincount(branch[which], minlength=size)

    right, inside = result.predicted == result.truth, truth == given
    frame = pd.DataFrame(
        {
            "branch": tree.level1_names,
            "classes": np.bincount(tree.level1_of_level2, minlength=size),
            "videos": np.bincount(truth, minlength=size),
            "right": count(truth, right),
            "sibling": count(truth, inside & ~right),
            "elsewhere": count(truth, ~inside),
            "received": count(given, ~inside),
        }
    )
    return frame[frame["videos"] + frame["received"] > 0].reset_index(drop=True)


def ways(result: ClassPredictions, tree: CategoryTree) -> pd.DataFrame:
    """From which branch to which other: ``source``, ``target`` (names), ``videos``; most frequent first."""
    truth, given = (tree.level1_of_level2[x] for x in (result.truth, result.predicted))
    astray = truth != given
    frame = pd.DataFrame({"source": tree.level1_names[truth[astray]], "target": tree.level1_names[given[astray]]})
    frame = frame.value_counts().rename("videos").reset_index()
    return frame.sort_values(["videos", "source", "target"], ascending=[False, True, True], ignore_index=True)


def confusion_tree(frame: pd.DataFrame, wrong_ways: pd.DataFrame, arrows: int = ARROWS) -> Figure:
    """Root, branches, and on each a bar of its videos by outcome; arrows lead from a branch to where its videos were put.

    Args:
        frame: of ``branches``; wrong_ways: of ``ways``.
        arrows: drawn, most frequent first; the wider, the more videos.
    """
    rows, shown = len(frame), wrong_ways.head(arrows)
    figure, axis = style.canvas(height=0.9 + LINE * rows)
    most = float(max(frame["videos"].max(), 1)) if rows else 1.0
    trunk, middle = -0.2 * most, (rows - 1) / 2
    axis.plot([trunk, trunk], [0, max(rows - 1, 0)], color=style.FAINT, linewidth=1)
    axis.plot([1.25 * trunk, trunk], [middle] * 2, color=style.FAINT, linewidth=1)
    for y, row in enumerate(named(frame)):
        axis.plot([trunk, 0.8 * trunk], [y, y], color=style.FAINT, linewidth=1)
        axis.text(0.74 * trunk, y, row.branch, va="center", fontsize=8)
        axis.text(-0.012 * most, y, row.classes, ha="right", va="center", fontsize=7, color=style.MUTED)
        axis.text(row.videos + 0.012 * most, y, row.videos, va="center", fontsize=7, color=style.MUTED)
    start = np.zeros(rows)
    for outcome, colour in OUTCOMES.items():
        axis.barh(np.arange(rows), frame[outcome], 0.66, start, color=colour, label=outcome)
        start += frame[outcome].to_numpy()
    place = {name: y for y, name in enumerate(frame["branch"])}
    heaviest = float(shown["videos"].max()) if len(shown) else 1.0
    edge = 1.17 * most
    for row in named(shown):
        source, target = place[row.source], place[row.target]
        axis.add_patch(
            FancyArrowPatch(
                (edge, source),
                (edge, target),
                connectionstyle=f"arc3,rad={-0.4 if target > source else 0.4}",
                arrowstyle="-|>",
                mutation_scale=7,
                linewidth=0.6 + 2.6 * row.videos / heaviest,
                color=style.ORANGE,
                alpha=0.6,
                shrinkA=0,
                shrinkB=0,
            )
        )
    for name in sorted({*shown["source"], *shown["target"]}):
        axis.text(edge - 0.015 * most, place[name], name, ha="right", va="center", fontsize=7.5, color=style.MUTED)
    axis.set(xlim=(1.3 * trunk, 1.5 * most), ylim=(rows - 0.4, -0.6), yticks=[])
    axis.set_xticks([tick for tick in axis.get_xticks() if 0 <= tick <= most])
    axis.set_xlabel("validation videos of the upper class")
    axis.grid(axis="y", visible=False)
    axis.spines["left"].set_visible(False)
    figure.legend(loc="outside upper left", ncols=3)
    return figure
