"""Does one report predict another? Effects of the same switches on two kinds of corpora, the generated and the real one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from IPython.display import Markdown
from matplotlib.figure import Figure

from lab.show import formats as f
from lab.show import order, shared, style
from lab.show.plan import Plan
from lab.show.table import Picture
from lab.show.verdicts import compared, read
from lib.evaluation.compare import NOT_IN_PLAY

DRAWS = 2000
FEWEST = 4  # switches, for a rank correlation


def reports(plan: Plan, folder: Path | None = None) -> dict[str, pd.DataFrame]:
    """Every other report -> its table of comparisons. Args: folder: of all reports; None for where the plan's own lies."""
    return {name: read(file) for name, file in plan.other_reports(folder).items()}


def beside(plan: Plan, frame: pd.DataFrame) -> list[Markdown | Picture]:
    """What this report says of each other one, sentence and picture."""
    shown: list[Markdown | Picture] = []
    for name, other in reports(plan).items():
        rows = both(frame, other)
        shown += [reading(rows, name), *([picture(rows, name)] if len(rows) >= FEWEST else [])]
    return shown or [Markdown("No other report is here yet; `make real` makes that of a real corpus.")]


def both(frame: pd.DataFrame, other: pd.DataFrame) -> pd.DataFrame:
    """Switches that two tables of comparisons measured, and that changed a number in both; questions with a known answer left out.

    Returns:
        ``ablation``, ``recipe``, ``arm``, ``metric``, and ``difference``, ``low``, ``high`` and ``verdict`` of each, with
        ``_here`` and ``_there`` behind their names.
    """
    measured = ["difference", "low", "high", "verdict"]
    keys = ["ablation", "recipe", "arm", "metric"]

    def part(table: pd.DataFrame) -> pd.DataFrame:
        rows = compared(table)
        return rows.loc[(rows["check"] == "") & (rows["verdict"] != NOT_IN_PLAY) & rows["low"].notna(), keys + measured]

    return part(frame).merge(part(other), on=keys, suffixes=("_here", "_there"))


def agreement(rows: pd.DataFrame) -> dict[str, float]:
    """Rank correlation ``rho`` of the effects in both reports, ``low`` and ``high`` of 95 % of its values when questions are drawn
    anew with all of their switches and effects within their intervals, ``p`` of a permutation of the switches, ``same``: how
    many of them have one sign in both, ``clear``: how many have intervals without 0 in both.

    Args:
        rows: of :func:`both`, at least ``FEWEST``.
    """
    here, there = rows["difference_here"].to_numpy(float), rows["difference_there"].to_numpy(float)
    rng, groups = np.random.default_rng(0), [part.index.to_numpy() for _, part in rows.groupby("ablation")]
    spread = [(rows[f"high_{side}"] - rows[f"low_{side}"]).to_numpy(float) / (2 * 1.96) for side in ("here", "there")]
    drawn = []
    for _ in range(DRAWS):
        chosen = np.concatenate([groups[k] for k in rng.integers(0, len(groups), len(groups))])
        pair = [
            v[chosen] + s[chosen] * rng.standard_normal(len(chosen)) for v, s in zip((here, there), spread, strict=True)
        ]
        if all(len(np.unique(values)) > 1 for values in pair):
            drawn.append(order.rank_correlation(*pair))
    low, high = np.percentile(drawn, [2.5, 97.5])
    clear = (rows["low_here"] * rows["high_here"] > 0) & (rows["low_there"] * rows["high_there"] > 0)
    rho, p = order.rank_correlation(here, there), order.p_value(here, there)
    same = float((np.sign(here) == np.sign(there)).sum())
    return {"rho": rho, "low": float(low), "high": float(high), "p": p, "same": same, "clear": float(clear.sum())}


def reading(rows: pd.DataFrame, name: str) -> Markdown:
    """Whether this report predicts the other, said plainly."""
    if len(rows) < FEWEST:
        return Markdown(
            f"Report *{name}* shares {f.plural(len(rows), 'switch', 'switches')} with this one: too few to compare."
        )
    found = agreement(rows)
    says = "predicts" if found["low"] > 0 else "contradicts" if found["high"] < 0 else "is not shown to predict"
    return Markdown(
        f"**This report {says} report *{name}***: the rank correlation of {f.plural(len(rows), 'effect')} is {f.score(found['rho'], 2)} "
        f"({f.interval(found['low'], found['high'], 2)}, p {f.significant(found['p'], 2)}). {found['same']:.0f} of them "
        f"{_have(found['same'])} the same sign in both; {found['clear']:.0f} {_have(found['clear'])} an interval without 0 in both."
    )


def _have(count: float) -> str:
    return "has" if count == 1 else "have"


def picture(rows: pd.DataFrame, name: str) -> Picture:
    """A cross a switch: its effect here from left to right, in report ``name`` upwards."""
    alt = f"Effects of {f.plural(len(rows), 'switch', 'switches')} here and in report {name}, with intervals"
    caption = f"A cross is a switch with its 95 % intervals: its effect here, and upwards in report {name}. On the diagonal both are equal."
    wide, narrow = (_figure(rows, name, width) for width in (style.WIDTH, style.NARROW))
    return Picture(wide, rows, f"elsewhere_{name}", alt, caption, narrow=narrow)


def _figure(rows: pd.DataFrame, name: str, width: float) -> Figure:
    metrics = list(rows.groupby("metric", sort=False))
    beside = width > style.NARROW
    shape = {"columns": len(metrics)} if beside else {"rows": len(metrics)}
    figure, axes = style.canvas(width, 3.6 if beside else 3.2 * len(metrics), squeeze=False, **shape)
    for axis, (metric, part) in zip(axes.flat, metrics, strict=True):
        x, y = part["difference_here"], part["difference_there"]
        axis.hlines(y, part["low_here"], part["high_here"], color=style.SKY, linewidth=1)
        axis.vlines(x, part["low_there"], part["high_there"], color=style.SKY, linewidth=1)
        axis.plot(x, y, "o", color=style.BLUE, markersize=4)
        furthest = part.assign(size=x.abs() + y.abs()).nlargest(4 if beside else 2, "size")
        for row in furthest.to_dict("records"):
            said = shared.trick(row["ablation"], row["arm"])
            axis.annotate(
                said, (row["difference_here"], row["difference_there"]), (3, 3), textcoords="offset points", fontsize=7
            )
        axis.axline((0, 0), slope=1, color=style.RULE, linewidth=1)
        axis.axhline(0, color=style.INK, linewidth=0.7)
        axis.axvline(0, color=style.INK, linewidth=0.7)
        axis.locator_params(nbins=5 if beside else 3)
        axis.set(xlabel=f"difference in {f.metric(metric)} here", ylabel=f"in report {name}")
    return figure
