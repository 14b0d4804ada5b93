"""Validation pairs in bins of equal size: by predicted cosine, and by how frequent their tags were in training.

Intervals are 95 % percentile bootstrap intervals over first videos with all their pairs, as for the score itself.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from lab.show.predictions import PairPredictions
from lab.show.slicing import LEAST, spearman_with_interval
from lib.data.store import Store
from lib.evaluation.intervals import resampled_pairs
from lib.recipes.job import Job

COSINE_BINS, TAG_BINS = 10, 5


def by_cosine(result: PairPredictions, bins: int = COSINE_BINS) -> pd.DataFrame:
    """What people gave the pairs that the system finds about equally alike.

    Returns:
        a row per bin, ascending: ``from``, ``to``, ``n``, mean ``cosine``, mean human ``score`` with ``low``, ``high``, mean
        ``target`` (the label as the loss saw it).
    """
    place = equal_bins(result.cosine, bins)
    frame = _edges(result.cosine, place).assign(
        cosine=_means(result.cosine, place), score=_means(result.score, place), target=_means(result.target, place)
    )
    low, high = _intervals(result.score, place, result.pairs)
    frame.insert(5, "low", low)
    frame.insert(6, "high", high)
    return frame


def calibration_error(frame: pd.DataFrame, label: str = "score") -> float:
    """Mean over pairs of |mean cosine - mean label| of their bin. Args: frame: of ``by_cosine``; label: a column of it."""
    return float(np.average((frame["cosine"] - frame[label]).abs(), weights=frame["n"]))


def by_tag_frequency(result: PairPredictions, frequency: np.ndarray, bins: int = TAG_BINS) -> pd.DataFrame:
    """Is a system better where it has seen the tags more often?

    Args:
        frequency: float [P], of ``tag_frequency``.

    Returns:
        a row per bin of at least ``LEAST`` pairs, rarest first: ``from``, ``to``, ``n``, mean ``frequency``, ``spearman`` within
        the bin with ``spearman_low``, ``spearman_high``; ``gap``, the mean distance between a pair's rank by cosine and by
        human score (both over all pairs, 0 to 1), with ``gap_low``, ``gap_high``; ``chance``, the gap that the same ranks by
        cosine would have if human scores were shuffled.
    """
    place = equal_bins(frequency, bins)
    predicted, truth = (rankdata(values) / len(values) for values in (result.cosine, result.score))
    gap = np.abs(predicted - truth)
    frame = _edges(frequency, place).assign(frequency=_means(frequency, place))
    masks = [place == number for number in range(len(frame))]
    scores = [
        spearman_with_interval(result.cosine[mask], result.score[mask])[1:] if mask.sum() >= LEAST else (np.nan,) * 3
        for mask in masks
    ]
    for column, values in zip(("spearman", "spearman_low", "spearman_high"), zip(*scores, strict=True), strict=True):
        frame[column] = values
    low, high = _intervals(gap, place, result.pairs)
    frame = frame.assign(gap=_means(gap, place), gap_low=low, gap_high=high)
    frame["chance"] = _means(mean_distance(predicted, truth), place)
    return frame[frame["n"] >= LEAST].reset_index(drop=True)


def tag_frequency(job: Job, store: Store, pairs: np.ndarray) -> np.ndarray:
    """float [P]: videos that carry the median tag of a video, the smaller of the two videos of a pair.

    Counted over the videos whose tags the first stage of the job learned from; 0 for a video without known tags.
    """
    job = _first_stage(job)
    starts, tags, _ = store.tags_csr()
    parts = [part for part in job.stage_spec.data.parts if part in store.parts]
    learned = np.repeat(np.isin(np.arange(len(store)), store.rows(*parts)), np.diff(starts))
    counts = np.bincount(tags[learned], minlength=len(store.manifest["tags"] or []))
    unique, place = np.unique(pairs, return_inverse=True)
    own = [counts[tags[starts[row] : starts[row + 1]]] for row in unique]
    medians = np.array([np.median(found) if len(found) else 0.0 for found in own])
    return medians[place.reshape(pairs.shape)].min(axis=1)


def _first_stage(job: Job) -> Job:
    """Where the weights of a job come from in the end; the runs that a soup averages have one such stage in common."""
    while started_from := [parent for role, parent in job.parents.items() if role.startswith("init_from")]:
        job = started_from[0]
    return job


def equal_bins(values: np.ndarray, bins: int) -> np.ndarray:
    """int [N]: the bin of each value, 0 the lowest; about equally many in each, equal values together.

    >>> equal_bins(np.array([5, 1, 1, 1, 9, 7]), 3).tolist()
    [1, 0, 0, 0, 2, 2]
    """
    edges = np.quantile(values, np.arange(1, bins) / bins, method="inverted_cdf")
    return np.unique(np.searchsorted(np.unique(edges), values, side="left"), return_inverse=True)[1]


def mean_distance(values: np.ndarray, others: np.ndarray) -> np.ndarray:
    """float [N]: mean |value - other| over all others, without a table of all pairs.

    >>> mean_distance(np.array([0.0, 2.0]), np.array([3.0, 1.0])).tolist()
    [2.0, 1.0]
    """
    ordered = np.sort(others)
    sums = np.concatenate([[0.0], np.cumsum(ordered)])
    below = np.searchsorted(ordered, values)
    return (values * (2 * below - len(ordered)) - 2 * sums[below] + sums[-1]) / len(ordered)


def _edges(values: np.ndarray, place: np.ndarray) -> pd.DataFrame:
    return pd.Series(values).groupby(place).agg(["min", "max", "size"]).set_axis(["from", "to", "n"], axis=1)


def _means(values: np.ndarray, place: np.ndarray) -> np.ndarray:
    return np.bincount(place, values) / np.bincount(place)


def _intervals(values: np.ndarray, place: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """[2, bins]: the ends for the mean of each bin; a sample without any of a bin says nothing about it."""
    with np.errstate(invalid="ignore"):
        bins = int(place.max()) + 1
        draws = [np.bincount(place, n * values, bins) / np.bincount(place, n, bins) for n in resampled_pairs(pairs)]
    return np.nanpercentile(draws, [2.5, 97.5], axis=0)
