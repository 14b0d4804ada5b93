"""How far to trust a verdict among many: p-values of all comparisons of a report, corrected for their number (Holm)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from lab.show.answers import Answer
from lab.show.rows import Row, dicts
from lib.evaluation.compare import holm

LEVEL = 0.05
FIELDS = ("ablation", "family", "recipe", "arm", "metric", "n", "difference", "low", "high", "verdict", "detectable")


def p_value(arm: np.ndarray, reference: np.ndarray) -> float:
    """Two-sided, of the paired t-test (``scipy.stats.ttest_rel``).

    Args:
        arm, reference: float [n], scores of the same seeds in the same order.

    Returns:
        NaN with one seed; where all differences are the same, which the test does not know, 1 if they are zero and 0 if not.

    Raises:
        ValueError: different numbers of seeds.
    """
    if len(arm) == len(reference) < 2:
        return float("nan")
    difference = np.subtract(arm, reference)
    if np.ptp(difference) == 0:
        return float(difference[0] == 0)
    return float(stats.ttest_rel(arm, reference).pvalue)


def comparisons(answers: Sequence[Answer]) -> pd.DataFrame:
    """Every comparison of a report.

    Returns:
        a frame of ``FIELDS`` (differences in units of the metric), ``p``, and ``holm``: p adjusted over all comparisons of
        the same track (Holm 1979, Scandinavian Journal of Statistics 6:65).
    """
    parts = [
        a.comparisons.assign(ablation=a.name, family=a.spec.family, p=[_p(a, row) for row in dicts(a.comparisons)])
        for a in answers
    ]
    if not parts:
        return pd.DataFrame(columns=[*FIELDS, "p", "holm"])
    frame = pd.concat(parts, ignore_index=True)[[*FIELDS, "p"]]
    frame["holm"] = np.nan
    for _, group in frame[frame["p"].notna()].groupby("metric"):
        frame.loc[group.index, "holm"] = holm(group["p"].tolist())
    return frame


def _p(answer: Answer, row: Row) -> float:
    """Of one comparison, from the scores of its runs, pair by pair."""
    runs = answer.runs[answer.runs["recipe"] == row["recipe"]]
    scores = runs.pivot(index="pair", columns="arm", values="score")
    pair = scores[[row["arm"], answer.spec.compared_with(row["arm"])]].dropna().to_numpy(float)
    return p_value(pair[:, 0], pair[:, 1])
