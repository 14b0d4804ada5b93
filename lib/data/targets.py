"""Pair scores as training targets: raw, or their rank scaled to [0, 1] (AIAC rank 1)."""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata


class RankTarget:
    """``r = rankdata(y, "average")``, then min-max to [0, 1]; other values by interpolation between the fitted ones.

    Fitted on the training pairs; the published code fits on all pairs, validation labels included (quirk A7-8).

    >>> RankTarget(np.array([0.2, 0.2, 0.5, 1.0]))(np.array([0.2, 0.5, 1.0])).tolist()
    [0.0, 0.6, 1.0]
    """

    def __init__(self, scores: np.ndarray):
        """Raises ValueError without scores."""
        if len(scores) == 0:
            raise ValueError("rank targets need at least one training pair")
        ranks = rankdata(scores, method="average")
        spread = ranks.max() - ranks.min()
        scaled = (ranks - ranks.min()) / spread if spread > 0 else np.zeros_like(ranks)
        self._values, first = np.unique(scores, return_index=True)
        self._targets = scaled[first]

    def __call__(self, scores: np.ndarray) -> np.ndarray:
        """float64, same shape as ``scores``; values beyond the fitted range get 0 or 1."""
        return np.interp(scores, self._values, self._targets)


def transform(kind: str, train: np.ndarray, validation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Training and validation scores as targets.

    Args:
        kind: ``raw``, ``rank`` (fitted on the training pairs) or ``rank_all`` (on both).
    """
    if kind == "raw":
        return train, validation
    fitted = RankTarget(np.concatenate([train, validation]) if kind == "rank_all" else train)
    return fitted(train), fitted(validation)
