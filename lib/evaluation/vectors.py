"""Unit vectors and cosines: the one place where a model's vectors are scaled to length one."""

import numpy as np
import torch
from torch.nn.functional import normalize


def unit(vectors: np.ndarray) -> np.ndarray:
    """Each row of a float array [N, E] scaled to length one, in its own precision; a row of zeros stays."""
    return normalize(torch.from_numpy(np.ascontiguousarray(vectors)), dim=-1).numpy()


def pair_products(rows: np.ndarray, vectors: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Inner products of pairs of vectors as they are: float64 [P]; arguments as of ``pair_cosines``."""
    left, right = (np.searchsorted(rows, pairs[:, side]) for side in (0, 1))
    return np.einsum("pe,pe->p", vectors[left].astype(np.float64), vectors[right].astype(np.float64))


def pair_cosines(rows: np.ndarray, vectors: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Cosines of pairs of vectors. Returns float64 [P].

    Args:
        rows: int64 [N] ascending, the store row of each vector.
        vectors: float [N, E], of any length; scaled in their own precision.
        pairs: int64 [P, 2] store rows.
    """
    return pair_products(rows, unit(vectors), pairs)


def cosines(vectors: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """float64 [P] from vectors [N, E] of any length and pairs int [P, 2] of their positions, computed in float64."""
    scaled = unit(vectors.astype(np.float64))
    return np.einsum("pe,pe->p", scaled[pairs[:, 0]], scaled[pairs[:, 1]])
