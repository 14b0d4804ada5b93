"""Several predictions of the same items, compared item by item: all are scored on the same bootstrap samples.

Not to be mixed up with ``lib.evaluation.compare``, whose intervals are over seeds. These are over validation items: they
say how far a difference depends on which items were held out, and nothing about another training run.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from lib.evaluation import intervals
from lib.evaluation.compare import HELPS, HURTS, NOTHING, Comparison
from lib.evaluation.intervals import resampled_videos


def spearman_draws(predicted: np.ndarray, truth: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Rank correlations on bootstrap samples of pairs (``intervals.spearman_draws``).

    Args:
        predicted: float [K, P], cosines by each of K models.
        truth: float [P]; pairs: int [P, 2].

    Returns:
        float64 [K, draws]; NaN where a sample is constant.
    """
    return np.stack([intervals.spearman_draws(row, truth, pairs) for row in predicted])


def mean_f1_draws(predicted: np.ndarray, truth: np.ndarray, level1_of_level2: np.ndarray) -> np.ndarray:
    """Mean F1 on bootstrap samples of videos.

    Args:
        predicted: int [K, V] level-2 classes by each of K models; truth: int [V]; level1_of_level2: int [C].

    Returns:
        float64 [K, draws].
    """
    return _draws(
        [
            np.array([_mean_f1(truth[i], row[i], level1_of_level2) for row in predicted])
            for i in resampled_videos(len(truth))
        ]
    )


def interval(draws: np.ndarray) -> tuple[float, float]:
    """95 % percentile interval of one model's draws, float [draws]."""
    low, high = np.nanpercentile(draws, [2.5, 97.5])
    return float(low), float(high)


def difference(score: float, reference: float, draws: np.ndarray, reference_draws: np.ndarray) -> Comparison:
    """Score minus reference with the 95 % interval of the differences on the same samples.

    A verdict other than *no measurable effect* only if zero lies outside the interval.
    """
    low, high = interval(draws - reference_draws)
    verdict = HELPS if low > 0 else HURTS if high < 0 else NOTHING
    return Comparison(score - reference, low, high, verdict)


def _draws(values: Iterable[np.ndarray]) -> np.ndarray:
    return np.stack(list(values), axis=1)


def _mean_f1(truth: np.ndarray, predicted: np.ndarray, level1_of_level2: np.ndarray) -> float:
    """``metrics.mean_f1`` by counting, for the many samples of a bootstrap."""
    total = 0.0
    for t, p in ((truth, predicted), (level1_of_level2[truth], level1_of_level2[predicted])):
        size = len(level1_of_level2)
        hits, both = (
            np.bincount(t[t == p], minlength=size),
            np.bincount(t, minlength=size) + np.bincount(p, minlength=size),
        )
        total += (t == p).mean() + (2 * hits[both > 0] / both[both > 0]).mean()
    return float(total / 4)
