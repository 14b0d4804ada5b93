"""Ensembles: predictions of several members in, one set of predictions out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np


def _unit(vectors: np.ndarray) -> np.ndarray:
    vectors = vectors.astype(np.float64)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def concat(members: Sequence[np.ndarray], weights: Sequence[float] | None = None) -> np.ndarray:
    """sqrt-weighted concatenation of unit vectors: its inner products are the weighted mean of the members' cosines.

    Args:
        members: M arrays float [N, E_m], same rows.
        weights: sum to 1; equal by default.

    Returns:
        float64 [N, sum of E_m], rows of length 1.
    """
    if not members:
        raise ValueError("an ensemble needs at least one member")
    weights = [1 / len(members)] * len(members) if weights is None else weights
    return np.concatenate([np.sqrt(w) * _unit(member) for w, member in zip(weights, members, strict=True)], axis=1)


class ConcatSvd:
    """Concatenation, then an un-centred truncated SVD. Used by: AIAC rank 1 (A5).

    Args:
        dim: numbers per video afterwards; capped at what the members span.
        fit: ``transductive`` fits on the very videos that are transformed, as published (quirk A7-16); ``reference`` on
            the first half of the rows, for use on videos that were not there.
        n_iter, seed: of scikit-learn's randomised SVD; as published.
    """

    def __init__(
        self,
        *,
        dim: int = 256,
        fit: Literal["transductive", "reference"] = "transductive",
        n_iter: int = 50,
        seed: int = 66,
    ):
        self.dim, self.fit, self.n_iter, self.seed = dim, fit, n_iter, seed

    def __call__(self, members: Sequence[np.ndarray]) -> np.ndarray:
        """float64 [N, min(dim, N, width)], not normalised."""
        from sklearn.decomposition import TruncatedSVD

        joined = concat(members)
        dim = min(self.dim, joined.shape[1] - 1, len(joined) - 1)
        svd = TruncatedSVD(n_components=dim, n_iter=self.n_iter, random_state=self.seed)
        if self.fit == "transductive":
            return svd.fit_transform(joined)
        return svd.fit(joined[: max(dim + 1, len(joined) // 2)]).transform(joined)


class MeanEmbedding:
    """Sum of the members' vectors, each normalised first or not. Used by: AIAC rank 17 (normalised) and as a control."""

    def __init__(self, *, normalise: bool = True):
        self.normalise = normalise

    def __call__(self, members: Sequence[np.ndarray]) -> np.ndarray:
        if len({member.shape for member in members}) != 1:
            raise ValueError("a sum of embeddings needs members of one width; use ConcatSvd")
        return np.mean([_unit(member) if self.normalise else member for member in members], axis=0)


class WeightedLogits:
    """Weighted mean of the members' class probabilities, as log-probabilities. Used by: WeChat 2022 systems.

    Args:
        weights: one per member; equal by default.
    """

    def __init__(self, *, weights: list[float] | None = None):
        self.weights = weights

    def __call__(self, members: Sequence[np.ndarray]) -> np.ndarray:
        """Members: float [N, C] logits. Returns float64 [N, C]."""
        from scipy.special import softmax

        if self.weights is not None and len(self.weights) != len(members):
            raise ValueError(f"{len(self.weights)} weights for {len(members)} members")
        mean = np.average(
            [softmax(member.astype(np.float64), axis=1) for member in members], axis=0, weights=self.weights
        )
        return np.log(np.maximum(mean, 1e-30))
