"""Bootstrap intervals over the scored items; those over seeds are in ``lib.evaluation.compare``. Deterministic by seed:
several predictions of the same items are scored on the same samples, so draws can be subtracted."""

from collections.abc import Callable, Iterator
from itertools import islice

import numpy as np

from lib.evaluation.compare import NOT_IN_PLAY, Comparison, verdict_of

DRAWS = 1000
SAMPLED_NUMBERS = 4_000_000  # of bootstrap samples at once, to bound memory
Z = 1.959964  # of a 95 % interval


def resampled_pairs(pairs: np.ndarray, seed: int = 0) -> Iterator[np.ndarray]:
    """``DRAWS`` bootstrap samples: first videos drawn with replacement, each with all its pairs, so that pairs of one
    query stay together. ``pairs``: int [P, 2] store rows. Yields int64 [P], how often each pair is in the sample."""
    rng = np.random.default_rng(seed)
    _, group = np.unique(pairs[:, 0], return_inverse=True)
    groups = int(group.max()) + 1
    for _ in range(DRAWS):
        yield np.bincount(rng.integers(0, groups, groups), minlength=groups)[group]


def spearman_draws(predicted: np.ndarray, truth: np.ndarray, pairs: np.ndarray, seed: int = 0) -> np.ndarray:
    """Rank correlations float64 [DRAWS] on bootstrap samples of pairs; NaN where a sample is constant. Items are sorted
    once; a sample only counts them anew. Equal to ranking each sample, and tens of times as fast. ``predicted``,
    ``truth``: float [P]; pairs: int [P, 2] store rows."""
    samples, at_once = resampled_pairs(pairs, seed), max(1, SAMPLED_NUMBERS // len(truth))
    ranks = [_ranks_in_samples(values) for values in (predicted, truth)]
    draws = []
    while len(chunk := list(islice(samples, at_once))):
        counts = np.stack(chunk).astype(np.float64)
        a, b = (rank(counts) for rank in ranks)
        size = counts.sum(axis=1, keepdims=True)
        a, b = (x - (counts * x).sum(axis=1, keepdims=True) / size for x in (a, b))
        together, alone = (counts * a * b).sum(axis=1), (counts * a**2).sum(axis=1) * (counts * b**2).sum(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            draws.append(together / np.sqrt(alone))
    return np.concatenate(draws)


def _ranks_in_samples(values: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """A function from counts float64 [D, P] to each item's rank in each sample, [D, P]; ties share their mean rank."""
    _, which = np.unique(values, return_inverse=True)
    order = np.argsort(which, kind="stable")
    starts = np.searchsorted(which[order], np.arange(which.max() + 1))

    def ranks(counts: np.ndarray) -> np.ndarray:
        same = np.add.reduceat(counts[:, order], starts, axis=1)  # items of each value
        return (same.cumsum(axis=1) - same + (same + 1) / 2)[:, which]

    return ranks


def resampled_videos(count: int, seed: int = 0) -> Iterator[np.ndarray]:
    """``DRAWS`` times ``count`` of ``count`` rows, drawn with replacement."""
    rng = np.random.default_rng(seed)
    for _ in range(DRAWS):
        yield rng.integers(0, count, count)


def mean_f1_draws(predicted: np.ndarray, truth: np.ndarray, level1_of_level2: np.ndarray, seed: int = 0) -> np.ndarray:
    """``metrics.mean_f1`` float64 [DRAWS] on bootstrap samples of videos, by counting: a hundred times as fast.
    ``predicted``, ``truth``: int [V] level-2 classes; level1_of_level2: int [C]."""
    levels = [(truth, predicted), (level1_of_level2[truth], level1_of_level2[predicted])]
    draws = []
    for index in resampled_videos(len(truth), seed):
        total = 0.0
        for t, p in ((t[index], p[index]) for t, p in levels):
            size, hit = len(level1_of_level2), t == p
            both = np.bincount(t, minlength=size) + np.bincount(p, minlength=size)
            present = both > 0
            total += hit.mean() + (2 * np.bincount(t[hit], minlength=size)[present] / both[present]).mean()
        draws.append(total / 4)
    return np.array(draws)


def interval(draws: np.ndarray) -> tuple[float, float]:
    """95 % percentile interval of draws, float [DRAWS]; samples without a score (NaN) are left out."""
    low, high = (np.nan, np.nan) if np.isnan(draws).all() else np.nanpercentile(draws, [2.5, 97.5])
    return float(low), float(high)


def mean_f1_interval(predicted: np.ndarray, truth: np.ndarray, level1_of_level2: np.ndarray) -> tuple[float, float]:
    """95 % interval of ``metrics.mean_f1`` over videos; shapes as in :func:`mean_f1_draws`. Where every answer is right, all
    samples score 1, which says nothing of other videos: then Wilson's interval of the share of right answers."""
    if (predicted == truth).all():
        return interval_of_share(len(truth), len(truth))[0], 1.0
    return interval(mean_f1_draws(predicted, truth, level1_of_level2))


def difference(score: float, reference: float, draws: np.ndarray, reference_draws: np.ndarray) -> Comparison:
    """Score minus reference with the 95 % interval of the differences on the same samples, and the verdict on it; the same
    predictions are *not in play*."""
    low, high = interval(draws - reference_draws)
    return Comparison(score - reference, low, high, verdict_of(low, high) if high > low else NOT_IN_PLAY)


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
