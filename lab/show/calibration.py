"""Does a classifier know how sure it may be? Reliability of the largest softmax probability, at temperature 1."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import log_softmax

from lib.evaluation.intervals import interval, resampled_videos

BINS = 15
CALIBRATED_DRAWS = 1000


class Calibration(NamedTuple):
    bins: pd.DataFrame  # of ``reliability``
    error: float  # expected calibration error
    low: float  # its 95 % interval
    high: float
    calibrated: float  # the error that answers of exactly this confidence would show by chance: mean
    calibrated_high: float  # and 95th percentile: below it, no miscalibration is shown
    nll: float  # mean negative log likelihood of the true class
    nll_low: float
    nll_high: float
    confidence: float  # mean
    accuracy: float


def reliability(confidence: np.ndarray, right: np.ndarray, bins: int = BINS) -> pd.DataFrame:
    """Answers by confidence, in bins of equal width from 0 to 1; a confidence on a border belongs to the upper bin.

    Args:
        confidence: float [N] in [0, 1]; right: bool [N].

    Returns:
        a row per bin: ``from``, ``to``, ``n``, mean ``confidence``, ``accuracy``; the means are NaN in an empty bin.
    """
    n, sure, hits = _binned(confidence, right, bins)
    with np.errstate(invalid="ignore"):
        edges = np.arange(bins + 1) / bins
        return pd.DataFrame({"from": edges[:-1], "to": edges[1:], "n": n, "confidence": sure / n, "accuracy": hits / n})


def expected_calibration_error(confidence: np.ndarray, right: np.ndarray, bins: int = BINS) -> float:
    """Mean over videos of |accuracy - mean confidence| of their bin (Guo et al. 2017, arXiv:1706.04599)."""
    _, sure, hits = _binned(confidence, right, bins)
    return float(np.abs(hits - sure).sum() / len(right))


def calibration(logits: np.ndarray, truth: np.ndarray, bins: int = BINS, seed: int = 0) -> Calibration:
    """All of it for one model.

    The error is a mean of absolute values, so noise only adds to it, and a bootstrap sample has more noise still: its
    percentiles lie too high. The interval is therefore the basic bootstrap's, percentiles mirrored at the estimate and cut
    off at 0, and beside it stands what the same confidences would show if they were exactly right.

    Args:
        logits: float [N, C]; truth: int [N].

    Raises:
        ValueError: no videos.
    """
    if not len(truth):
        raise ValueError("calibration: needs at least one video")
    logs = log_softmax(logits.astype(np.float64), axis=1)
    confidence, right = np.exp(logs.max(axis=1)), logits.argmax(axis=1) == truth
    loss = -logs[np.arange(len(truth)), truth]
    error = expected_calibration_error(confidence, right, bins)
    samples = list(resampled_videos(len(truth), seed))
    low, high = interval(np.array([expected_calibration_error(confidence[i], right[i], bins) for i in samples]))
    rng = np.random.default_rng(seed)
    chance = [
        expected_calibration_error(confidence, rng.random(len(truth)) < confidence, bins)
        for _ in range(CALIBRATED_DRAWS)
    ]
    return Calibration(
        reliability(confidence, right, bins),
        error,
        max(0.0, 2 * error - high),
        max(0.0, 2 * error - low),
        float(np.mean(chance)),
        float(np.percentile(chance, 95)),
        float(loss.mean()),
        *interval(np.array([loss[i].mean() for i in samples])),
        float(confidence.mean()),
        float(right.mean()),
    )


def _binned(confidence: np.ndarray, right: np.ndarray, bins: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """[bins] each: videos, sum of confidences, right answers."""
    place = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    return tuple(np.bincount(place, weights, bins) for weights in (None, confidence, right.astype(np.float64)))
