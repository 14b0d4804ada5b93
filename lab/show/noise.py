"""Where a score's uncertainty comes from: the seed, the data split, and which items happen to be validated on."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from lab.show import formats as f
from lab.show import runs as gather
from lab.show.plan import Plan
from lab.show.rows import dicts
from lab.show.table import Column, Table

WIDE = 2 * stats.norm.ppf(0.975)  # standard deviations in a 95 % interval


def sources(plan: Plan, board: pd.DataFrame) -> pd.DataFrame:
    """Three standard deviations of a score, in units of its metric.

    Args:
        board: rows of ``runs.systems``.

    Returns:
        one row per system and scored stage. ``seed`` is over runs of other seeds; ``items`` is a bootstrap over validation
        items within a run, read off its 95 % interval as if that were normal; ``split`` is over runs of the same seed in
        other folds, where an ensemble of the report trained them; part of the last is the other two again.

    Raises:
        MissingRun: a fold has no finished run.
    """
    folds = _folds(plan)
    rows = [
        {
            "recipe": row["recipe"],
            "arm": row["arm"],
            "stage": row["stage"],
            "metric": row["metric"],
            "seed": row["sd"] if row["seeds"] > 1 else None,
            "items": (row["high"] - row["low"]) / WIDE if pd.notna(row["low"]) else None,
            "split": folds.get((row["recipe"], row["arm"], row["stage"])),
        }
        for row in dicts(board)
    ]
    frame = pd.DataFrame(rows)
    return frame[frame[["seed", "split"]].notna().any(axis=1)].reset_index(drop=True)


def _folds(plan: Plan) -> dict[tuple[str, str, str], float]:
    found = {}
    for name in plan.ensembles:
        for jobs in plan.ensemble_members(name).values():
            if len(jobs) > 1:
                scores = gather.rows(jobs)["score"].to_numpy(float)
                found[jobs[0].recipe, jobs[0].arm.split("@")[0], jobs[0].stage] = float(np.std(scores, ddof=1))
    return found


def table(frame: pd.DataFrame) -> Table:
    """:func:`sources` as people read them."""

    def deviation(name: str, title: str, hint: str) -> Column:
        return Column(title, lambda r: f.score(r[name], 4), "number", hint)

    columns = (
        Column("system", lambda r: f"{r['recipe']}{'' if r['arm'] == 'base' else ' ' + r['arm']}\n{r['stage']}"),
        Column("metric", lambda r: f.metric(r["metric"])),
        deviation("seed", "seed", "standard deviation over seeds, same data"),
        deviation("split", "split", "standard deviation over folds, same seed"),
        deviation("items", "items", "bootstrap over the validation items of one run"),
    )
    return Table(
        frame,
        columns,
        "Standard deviations of a score. Paired differences between arms share seed, split and items, so most of this cancels there.",
    )
