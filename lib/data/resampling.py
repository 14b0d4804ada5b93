"""Training on rare categories more often: each video is repeated by a table of category sizes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def repeats(counts: np.ndarray, table: Sequence[tuple[int, int]]) -> np.ndarray:
    """How often a video of each category is seen in an epoch.

    Args:
        counts: int [C], videos per category.
        table: (size, times), sizes ascending: a category below the first size that exceeds it is repeated that often.

    >>> repeats(np.array([99, 100, 999, 1000]), [(100, 5), (500, 3), (1000, 2)]).tolist()
    [5, 3, 2, 1]
    """
    sizes = np.array([size for size, _ in table], np.int64)
    times = np.array([*(often for _, often in table), 1], np.int64)
    return times[np.searchsorted(sizes, counts, side="right")]


def resample(labels: np.ndarray, counted: np.ndarray, table: Sequence[tuple[int, int]]) -> np.ndarray:
    """Positions of the videos to train on, each as often as its category's size says.

    Args:
        labels: int [M], categories of the training videos.
        counted: int, categories of the videos that make up the sizes: the training videos, or, as WeChat rank 72 does,
            the validation videos too (quirk R15).

    Returns:
        int64 positions into ``labels``, ascending.
    """
    if not table:
        return np.arange(len(labels))
    often = repeats(np.bincount(counted, minlength=int(labels.max(initial=0)) + 1), table)
    return np.repeat(np.arange(len(labels)), often[labels])
