"""Does a classifier know how sure it may be? Reliability of the largest softmax probability, at temperature 1."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.special import log_softmax

from lib.evaluation.intervals import interval, resampled_videos

BINS = 15
CALIBRATED_DRAWS = 1000


ERROR, CHANCE = "expected calibration error", "the same, exceeded by chance once in twenty"
CONFIDENCE, ACCURACY = "mean confidence", "share of right answers"


def sureness(logits: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Largest softmax probability float64 [N], and whether it is the right class's. Args: logits: float [N, C]; truth: int [N]."""
    return np.exp(log_softmax(logits.astype(np.float64), axis=1).max(axis=1)), logits.argmax(axis=1) == truth


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


def calibration(logits: np.ndarray, truth: np.ndarray, bins: int = BINS, seed: int = 0) -> pd.DataFrame:
    """All of it for one model: ``what``, ``value`` and where there is one its 95 % interval, ``low`` and ``high``.

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
    confidence, right = sureness(logits, truth)
    loss = -log_softmax(logits.astype(np.float64), axis=1)[np.arange(len(truth)), truth]
    error = expected_calibration_error(confidence, right, bins)
    samples = list(resampled_videos(len(truth), seed))
    low, high = interval(np.array([expected_calibration_error(confidence[i], right[i], bins) for i in samples]))
    rng = np.random.default_rng(seed)
    chance = [
        expected_calibration_error(confidence, rng.random(len(truth)) < confidence, bins)
        for _ in range(CALIBRATED_DRAWS)
    ]
    facts = [
        (ERROR, error, max(0.0, 2 * error - high), max(0.0, 2 * error - low)),
        ("the same, if its confidence were exact", float(np.mean(chance))),
        (CHANCE, float(np.percentile(chance, 95))),
        ("negative log likelihood", float(loss.mean()), *interval(np.array([loss[i].mean() for i in samples]))),
        (CONFIDENCE, float(confidence.mean())),
        (ACCURACY, float(right.mean())),
    ]
    return pd.DataFrame(facts, columns=["what", "value", "low", "high"])


def _binned(confidence: np.ndarray, right: np.ndarray, bins: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """[bins] each: videos, sum of confidences, right answers."""
    place = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    return tuple(np.bincount(place, weights, bins) for weights in (None, confidence, right.astype(np.float64)))
