"""Bootstrap intervals over what was scored; deterministic by seed."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.stats import rankdata

from lib.evaluation.metrics import mean_f1

DRAWS = 1000
CLASS_DRAWS = 200
Z = 1.959964  # of a 95 % interval


def resampled_pairs(pairs: np.ndarray, seed: int = 0) -> Iterator[np.ndarray]:
    """``DRAWS`` times the rows of a bootstrap sample: first videos drawn with replacement, each with all its pairs.

    Args:
        pairs: int [P, 2] store rows.
    """
    rng = np.random.default_rng(seed)
    _, group = np.unique(pairs[:, 0], return_inverse=True)
    order = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[order], np.arange(group.max() + 2))
    for _ in range(DRAWS):
        chosen = rng.integers(0, len(starts) - 1, len(starts) - 1)
        yield np.concatenate([order[starts[g] : starts[g + 1]] for g in chosen])


def resampled_videos(count: int, seed: int = 0) -> Iterator[np.ndarray]:
    """``CLASS_DRAWS`` times ``count`` of ``count`` rows, drawn with replacement."""
    rng = np.random.default_rng(seed)
    for _ in range(CLASS_DRAWS):
        yield rng.integers(0, count, count)


def interval_of_spearman(
    predicted: np.ndarray, truth: np.ndarray, pairs: np.ndarray, seed: int = 0
) -> tuple[float, float]:
    """95 % percentile interval, resampling videos' pairs by their first video so that pairs of one query stay together.

    Args:
        pairs: int [P, 2] store rows.
    """
    values = []
    for index in resampled_pairs(pairs, seed):
        a, b = rankdata(predicted[index]), rankdata(truth[index])
        values.append(np.corrcoef(a, b)[0, 1])
    return tuple(np.nanpercentile(values, [2.5, 97.5]).tolist())


def interval_of_share(hits: float, n: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share, of use even where all or nothing was hit; NaN for n = 0.

    >>> [round(end, 3) for end in interval_of_share(0, 10)]
    [0.0, 0.278]
    """
    if not n:
        return float("nan"), float("nan")
    p = hits / n
    centre = (p + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z / (1 + Z**2 / n) * np.sqrt(p * (1 - p) / n + Z**2 / (4 * n**2))
    return float(max(0.0, centre - half)), float(min(1.0, centre + half))


def interval_of_mean_f1(
    truth: np.ndarray, predicted: np.ndarray, level1_of_level2: np.ndarray, seed: int = 0
) -> tuple[float, float]:
    """95 % percentile interval over videos."""
    values = []
    for index in resampled_videos(len(truth), seed):
        values.append(mean_f1(truth[index], predicted[index], level1_of_level2)["mean_f1"])
    return tuple(np.percentile(values, [2.5, 97.5]).tolist())
