"""Paired comparison of two arms over seeds: mean difference, 95 % interval, and a verdict by rule."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

HELPS, HURTS, NOTHING, UNKNOWN = "helps", "hurts", "no measurable effect", "one seed: no interval"


class Comparison(NamedTuple):
    """A mean paired difference with its interval, and what may be said of it by rule: HELPS, HURTS, NOTHING or UNKNOWN."""

    mean: float  # arm minus reference, in units of the metric
    low: float  # 95 % t-interval of the mean; NaN with one seed
    high: float
    verdict: str


def compare(arm: np.ndarray, reference: np.ndarray, higher_is_better: bool = True) -> Comparison:
    """Arm minus reference, seed by seed.

    Args:
        arm, reference: float [n], scores of the same seeds in the same order.

    Returns:
        a verdict other than *no measurable effect* only if zero lies outside the interval.

    Raises:
        ValueError: different numbers of seeds, or none.
    """
    arm, reference = np.asarray(arm, float), np.asarray(reference, float)
    if arm.shape != reference.shape or arm.ndim != 1 or len(arm) == 0:
        raise ValueError(
            f"a paired comparison needs the same seeds on both sides, got {arm.shape} and {reference.shape}"
        )
    difference = arm - reference
    mean, n = float(difference.mean()), len(difference)
    if n == 1:
        return Comparison(mean, float("nan"), float("nan"), UNKNOWN)
    half = float(stats.t.ppf(0.975, n - 1) * difference.std(ddof=1) / np.sqrt(n))
    low, high = mean - half, mean + half
    if low <= 0 <= high:
        return Comparison(mean, low, high, NOTHING)
    return Comparison(mean, low, high, HELPS if (mean > 0) == higher_is_better else HURTS)


def detectable(sd: float, n: int, power: float = 0.8, alpha: float = 0.05) -> float:
    """Smallest true difference that n paired seeds would report with the given power, for a standard deviation ``sd`` of
    the paired differences (two-sided t-test, normal approximation of the noncentral t). NaN for fewer than two seeds."""
    if n < 2:
        return float("nan")
    return float((stats.t.ppf(1 - alpha / 2, n - 1) + stats.t.ppf(power, n - 1)) * sd / np.sqrt(n))


def holm(p_values: Sequence[float]) -> np.ndarray:
    """Holm's adjusted p-values: controls the family-wise error over all questions.

    >>> holm([0.01, 0.04, 0.03]).round(2).tolist()
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, float)
    order = np.argsort(p)
    adjusted = np.maximum.accumulate((len(p) - np.arange(len(p))) * p[order])
    result = np.empty_like(p)
    result[order] = np.minimum(adjusted, 1.0)
    return result
