"""Ensembles: predictions of several members in, one set of predictions out; and honest scores of what is learned from the
scored pairs themselves: every pair is judged by a fit that did not see it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from lib.data.splits import component_of, group_kfold
from lib.evaluation.vectors import cosines, unit


def _unit(vectors: np.ndarray) -> np.ndarray:
    return unit(vectors.astype(np.float64))


def concat(members: Sequence[np.ndarray], weights: Sequence[float] | None = None) -> np.ndarray:
    """sqrt-weighted concatenation of unit vectors: its inner products are the weighted mean of the members' cosines.
    Returns float64 [N, sum of E_m], rows of length 1. Raises ValueError: no member, or not one weight for each.

    Args:
        members: M arrays float [N, E_m], same rows.
        weights: one per member, sum 1; equal by default.
    """
    weights = [1 / len(members) for _ in members] if weights is None else weights
    if not members or len(weights) != len(members):
        raise ValueError(f"concat needs members and a weight for each: {len(weights)} for {len(members)} members")
    return np.concatenate([np.sqrt(w) * _unit(member) for w, member in zip(weights, members, strict=True)], axis=1)


@dataclass(kw_only=True)
class Concat:
    """The concatenation itself: its inner products are the weighted mean of the members' cosines. ``weights``: one per
    member, none negative; equal by default."""

    weights: list[float] | None = None

    def __post_init__(self) -> None:
        if self.weights is not None and (min(self.weights) < 0 or sum(self.weights) <= 0):
            raise ValueError(f"weights: {self.weights} must not be negative, and one must be positive")

    def __call__(self, members: Sequence[np.ndarray]) -> np.ndarray:
        """float64 [N, sum of E_m], rows of length 1."""
        return concat(members, self.weights and [weight / sum(self.weights) for weight in self.weights])


@dataclass(kw_only=True)
class CosineWeights:
    """Concatenation with weights learned from scored pairs: the non-negative weights of the members' cosines whose sum
    comes closest to the scores (least squares, any constant added). It stays an embedding, because the concatenation
    with the roots of the weights has just that sum as cosine. The recommended replacement of AIAC rank 6's blend (B5.2).

    Args:
        pairs: int [P, 2], rows of the members; scores: float [P]. They must not be the pairs it is judged by:
            ``crossfit`` hands in those of the other folds.
    """

    pairs: np.ndarray
    scores: np.ndarray

    def __post_init__(self) -> None:
        if self.pairs.shape != (len(self.scores), 2) or not len(self.scores):
            raise ValueError(f"{len(self.scores)} scores need as many pairs of rows, got shape {self.pairs.shape}")

    def weights(self, members: Sequence[np.ndarray]) -> np.ndarray:
        """float64 [M], none negative, sum 1; equal where no member follows the scores."""
        from scipy.optimize import nnls

        given = np.stack([cosines(member, self.pairs) for member in members], axis=1)
        found, _ = nnls(given - given.mean(axis=0), self.scores - self.scores.mean())
        return found / found.sum() if found.sum() > 0 else np.full(len(members), 1 / len(members))

    def __call__(self, members: Sequence[np.ndarray]) -> np.ndarray:
        """float64 [N, sum of E_m], rows of length 1."""
        return concat(members, self.weights(members).tolist())


@dataclass(kw_only=True)
class ConcatSvd:
    """Concatenation, then an un-centred truncated SVD. Used by: AIAC rank 1 (A5). It is exact; the published one,
    randomised with 50 iterations, comes within 1e-3 of its cosines. ``fit``: ``transductive`` fits on the very videos that
    are transformed, as published (quirk A7-16); ``reference`` on the first half of the rows, for use on other videos."""

    dim: int = 256
    fit: Literal["transductive", "reference"] = "transductive"

    def __call__(self, members: Sequence[np.ndarray]) -> np.ndarray:
        """float64 [N, min(dim, N, width)], not normalised."""
        joined = concat(members)
        dim = min(self.dim, *joined.shape)
        fitted = joined if self.fit == "transductive" else joined[: max(dim, len(joined) // 2)]
        # The triangle of a QR has the right singular vectors of the whole, and a side as short as a vector.
        _, _, directions = np.linalg.svd(np.linalg.qr(fitted, mode="r"), full_matrices=False)
        return joined @ directions[:dim].T


@dataclass(kw_only=True)
class MeanEmbedding:
    """Mean of the members' vectors. Used by: AIAC rank 17, whose own sum is of vectors of any length (C5).
    ``normalise``: scale each member's vectors to length one first, so that all count the same."""

    normalise: bool = True

    def __call__(self, members: Sequence[np.ndarray]) -> np.ndarray:
        if len({member.shape for member in members}) != 1:
            raise ValueError("a sum of embeddings needs members of one width; use ConcatSvd")
        return np.mean([_unit(member) if self.normalise else member for member in members], axis=0)


@dataclass(kw_only=True)
class WeightedLogits:
    """Weighted mean of the members' class probabilities, as log-probabilities. Used by: the WeChat baseline.

    Args:
        weights: one per member; equal by default.
        of: what is averaged; ``logs`` takes log-probabilities (a geometric mean), where one sure member counts for more.
    """

    weights: list[float] | None = None
    of: Literal["probabilities", "logs"] = "probabilities"

    def __call__(self, members: Sequence[np.ndarray]) -> np.ndarray:
        """Members: float [N, C] logits. Returns float64 [N, C]."""
        from scipy.special import log_softmax, softmax

        if self.weights is not None and len(self.weights) != len(members):
            raise ValueError(f"{len(self.weights)} weights for {len(members)} members")
        if self.of == "logs":
            logs = [log_softmax(member.astype(np.float64), axis=1) for member in members]
            return log_softmax(np.average(logs, axis=0, weights=self.weights), axis=1)
        mean = np.average([softmax(m.astype(np.float64), axis=1) for m in members], axis=0, weights=self.weights)
        return np.log(np.maximum(mean, 1e-30))


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
