"""The label table of a training part: which videos of a batch have a known score together, whoever's pair it is."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


class KnownPairs:
    """Scores of labelled pairs, to be looked up for all pairs among some videos at once.

    A pair holds in both directions; a pair labelled more than once has the mean of its scores; a video paired with itself
    says nothing. The table knows what it is given and nothing else: give it training pairs only.
    Used by: objectives that ask for it (``Objective.needs_known``), as AIAC rank 17 describes its loss on unlabelled pairs.
    """

    def __init__(self, rows: np.ndarray, score: np.ndarray):
        """Make a table.

        Args:
            rows: int64 [M, 2], both videos of each pair.
            score: float [M], as the stage trains on it.

        Raises:
            ValueError: as many scores as pairs are needed.
        """
        rows, score = np.asarray(rows, np.int64).reshape(-1, 2), np.asarray(score, np.float64)
        if len(rows) != len(score):
            raise ValueError(f"known pairs: {len(rows)} pairs have {len(score)} scores; give one score to each pair")
        apart = rows[:, 0] != rows[:, 1]
        both = np.concatenate([rows[apart], rows[apart, ::-1]])
        # in order of the first video, so that the partners of a video lie side by side
        pairs, place, times = np.unique(both, axis=0, return_inverse=True, return_counts=True)
        total = np.bincount(place.reshape(-1), weights=np.tile(score[apart], 2), minlength=len(pairs))
        self._first, self._second = pairs[:, 0], pairs[:, 1]
        self._score = (total / times).astype(np.float32)

    def __len__(self) -> int:
        """Different pairs, either direction counted once."""
        return len(self._score) // 2

    def among(self, rows: np.ndarray) -> Tensor:
        """float32 [B, B]: the score of each two of B videos, NaN where it is unknown; copies of a video count alike.

        The work grows with the partners of these videos, not with the table.
        """
        videos, copy = np.unique(rows, return_inverse=True)
        starts, ends = (np.searchsorted(self._first, videos, side) for side in ("left", "right"))
        counts = ends - starts
        places = np.repeat(starts - (counts.cumsum() - counts), counts) + np.arange(counts.sum())
        left, partner = np.repeat(np.arange(len(videos)), counts), self._second[places]
        right = np.searchsorted(videos, partner).clip(max=max(0, len(videos) - 1))
        here = videos[right] == partner if len(videos) else np.zeros(0, bool)
        table = np.full((len(videos), len(videos)), np.nan, np.float32)
        table[left[here], right[here]] = self._score[places[here]]
        return torch.from_numpy(table[copy][:, copy])
