"""Honest scores of what is learned from the scored pairs themselves: every pair is judged by a fit that did not see it."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from lib.data.splits import component_of, group_kfold
from lib.evaluation.vectors import cosines

COMPONENTS, FIRST_VIDEOS = "components of videos", "first videos"

Combiner = Callable[[Sequence[np.ndarray]], np.ndarray]


class Folds(NamedTuple):
    """Which fold judges each of P pairs, and what was kept together when they were cut."""

    of: np.ndarray  # int64 [P], the fold each pair is judged in
    grouped_by: str  # COMPONENTS or FIRST_VIDEOS


def pair_folds(pairs: np.ndarray, k: int = 5) -> Folds:
    """Folds of whole connected components of videos, so that no video is on both sides; where one component is too
    large for that (a fold would hold more than half of the pairs, or none), of first videos, as AIAC rank 6 grouped
    them. ``k``: fewer where there are fewer first videos. Raises ValueError: all pairs have the same first video."""
    k = min(k, len(np.unique(pairs[:, 0])))
    if k < 2:
        raise ValueError(f"{len(pairs)} pairs with fewer than two first videos cannot be cut into folds")
    name, of = "", np.zeros(len(pairs), np.int64)
    for name, groups in ((COMPONENTS, component_of(*pairs.T)), (FIRST_VIDEOS, pairs[:, 0])):  # noqa: B007
        of = np.empty(len(pairs), np.int64)
        for fold in range(k):
            of[group_kfold(groups, k=k, fold=fold).val] = fold
        sizes = np.bincount(of, minlength=k)
        if sizes.min() > 0 and sizes.max() <= max(len(pairs) / 2, 1):
            break
    return Folds(of, name)


def crossfit(
    make: Callable[[np.ndarray, np.ndarray], Combiner],
    members: Sequence[np.ndarray],
    pairs: np.ndarray,
    scores: np.ndarray,
    folds: np.ndarray,
) -> np.ndarray:
    """Cosines of all pairs, each by a combiner that was fitted on the pairs of the other folds.

    Fits differ a little from fold to fold, and a rank correlation over all pairs compares cosines of different fits:
    the result is a shade below what one fit on other pairs would reach, never above for having seen an answer. Returns
    float64 [P]. ``pairs``: int [P, 2], rows of the members; scores: float [P]; folds: int [P].
    """
    result = np.empty(len(pairs))
    for fold in np.unique(folds):
        held = folds == fold
        result[held] = cosines(make(pairs[~held], scores[~held])(members), pairs[held])
    return result
