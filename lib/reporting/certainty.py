"""How far to trust a verdict among many: p-values of all comparisons of a report, corrected for their number (Holm)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from lib.evaluation.compare import holm
from lib.reporting.answers import Answer
from lib.reporting.rows import dicts

LEVEL = 0.05
FIELDS = ("ablation", "family", "recipe", "arm", "metric", "n", "difference", "low", "high", "verdict", "detectable")


def p_value(difference: float, low: float, high: float, n: int) -> float:
    """Of the paired t-test whose 95 % interval is given; NaN with one seed, 1 or 0 where all differences are equal."""
    if n < 2 or low != low:
        return float("nan")
    error = (high - low) / 2 / stats.t.ppf(0.975, n - 1)
    if error == 0:
        return 1.0 if difference == 0 else 0.0
    return float(2 * stats.t.sf(abs(difference) / error, n - 1))


def comparisons(answers: Sequence[Answer]) -> pd.DataFrame:
    """Every comparison of a report, with ``p`` and ``holm``: adjusted over all comparisons of the same track."""
    parts = [a.comparisons.assign(ablation=a.name, family=a.spec.family) for a in answers]
    if not parts:
        return pd.DataFrame(columns=[*FIELDS, "p", "holm"])
    frame = pd.concat(parts, ignore_index=True)[list(FIELDS)]
    frame["p"] = [p_value(r["difference"], r["low"], r["high"], int(r["n"])) for r in dicts(frame)]
    frame["holm"] = np.nan
    for _, group in frame[frame["p"].notna()].groupby("metric"):
        frame.loc[group.index, "holm"] = holm(group["p"].tolist())
    return frame
