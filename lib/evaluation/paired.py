"""Several predictions of the same items, compared item by item: all are scored on the same bootstrap samples.

Not to be mixed up with ``lib.evaluation.compare``, whose intervals are over seeds. These are over validation items: they
say how far a difference depends on which items were held out, and nothing about another training run.
"""

from __future__ import annotations

import numpy as np

from lib.evaluation import intervals
from lib.evaluation.compare import HELPS, HURTS, NOTHING, Comparison


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
    """Mean F1 on bootstrap samples of videos (``intervals.mean_f1_draws``).

    Args:
        predicted: int [K, V] level-2 classes by each of K models; truth: int [V]; level1_of_level2: int [C].

    Returns:
        float64 [K, draws].
    """
    return np.stack([intervals.mean_f1_draws(row, truth, level1_of_level2) for row in predicted])


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
