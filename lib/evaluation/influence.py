"""What single test items add to a score, and how far the score depends on which items were drawn.

The influence of an item is the derivative of a score by the item's weight, divided by the number of items: the sum of
their squares is the variance of the score over samples of independent items (Hampel 1974, "The influence curve and its
role in robust estimation"), which a bootstrap converges to. Pairs that share a video are not independent: their
variance adds the products of all influences that share a video at either end (Fafchamps and Gubert 2007; Aronow, Samii
and Assenova 2015, "Cluster-robust variance estimation for dyadic data"). The pigeonhole bootstrap (Owen 2007) counts
the variance of a pair alone three times: where most videos are in one or two pairs its intervals are 1.7 times too
wide.
"""

import numpy as np
from scipy.stats import rankdata


def spearman_influence(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Influences float64 [P] on ``metrics.spearman``, that an item shifts the ranks of others included; 0 if one side
    is constant. ``predicted``, ``truth``: float [P]."""
    n = len(truth)
    a, b = ((rankdata(values) - 0.5) / n - 0.5 for values in (predicted, truth))
    of_a, of_b, of_both = (a * a).mean(), (b * b).mean(), (a * b).mean()
    if of_a == 0 or of_b == 0:
        return np.zeros(n)
    both = a * b + _above(predicted, b) + _above(truth, a) - 3 * of_both
    alone = (a * a + 2 * _above(predicted, a)) / of_a + (b * b + 2 * _above(truth, b)) / of_b - 6
    return (both - of_both * alone / 2) / np.sqrt(of_a * of_b) / n


def _above(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Sum of the weights of all items with a larger value, and half of those with the same, over the number of items."""
    _, which = np.unique(values, return_inverse=True)
    sums = np.bincount(which, weights)
    return (sums[::-1].cumsum()[::-1] - sums / 2)[which] / len(values)


def mean_f1_influence(predicted: np.ndarray, truth: np.ndarray, level1_of_level2: np.ndarray) -> np.ndarray:
    """Influences float64 [V] on ``metrics.mean_f1``, of the classes that are present. ``predicted``, ``truth``: int [V]
    level-2 classes; level1_of_level2: int [C]."""
    total = np.zeros(len(truth))
    for t, p in ((truth, predicted), (level1_of_level2[truth], level1_of_level2[predicted])):
        hit, size = t == p, len(level1_of_level2)
        both = np.bincount(t, minlength=size) + np.bincount(p, minlength=size)
        f1 = 2 * np.bincount(t[hit], minlength=size) / np.maximum(both, 1)
        macro = (2 * hit - f1[t]) / both[t] - f1[p] / both[p]
        total += (hit - hit.mean()) / len(t) + macro / np.count_nonzero(both)
    return total / 4


def variance(influence: np.ndarray, pairs: np.ndarray | None = None) -> float:
    """Variance of a score, or of a difference of scores, over samples of test items.

    Args:
        influence: float [P].
        pairs: int [P, 2] videos of each item; None where items share nothing.
    """
    alone = float(influence @ influence)
    if pairs is None:
        return alone
    _, videos = np.unique(pairs, return_inverse=True)
    sums = np.bincount(videos.ravel(), np.repeat(influence, 2))
    return max(float(sums @ sums) - alone, 0.0)


def shared_variance(influences: np.ndarray, pairs: np.ndarray | None = None) -> float:
    """Variance over test items of what runs have in common: the mean product of the influences of two different runs.
    With one run: all of its variance, of which nobody can tell what another run would share. ``influences``: float [n,
    P] of n runs of other seeds on the same items."""
    n, own = len(influences), [variance(row, pairs) for row in influences]
    if n == 1:
        return own[0]
    return max((n**2 * variance(influences.mean(axis=0), pairs) - sum(own)) / (n * (n - 1)), 0.0)
