"""What a frozen encoder says of each video, computed once instead of at every step."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from lib.data.batch import Batch
from lib.models.video_model import States, from_vector

SLOTS = ("text", "frames")


class Precomputed:
    """Pooled vectors by store row, in place of an encoder. Not a module: it is no part of a model's weights.

    Args:
        rows: int64 [N], ascending.
        pooled: [N, D].
    """

    def __init__(self, rows: Tensor, pooled: Tensor) -> None:
        self.rows, self.pooled = rows, pooled

    def __call__(self, batch: Batch) -> States:
        """States of length one, [B, 1, D].

        Raises:
            ValueError: a video that was not among the rows.
        """
        place = torch.searchsorted(self.rows, batch.rows).clamp(max=len(self.rows) - 1)
        if not torch.equal(self.rows[place], batch.rows):
            raise ValueError("a frozen encoder was asked about a video that it had not encoded before training")
        pooled = self.pooled[place]
        return from_vector(pooled)

    def __deepcopy__(self, memo: dict[int, Any]) -> Precomputed:
        return self  # never changes, so copies of a model share it


@torch.no_grad()
def encode(encoder: nn.Module, batches: Iterable[Batch], device: torch.device) -> Precomputed:
    """Pooled vectors of all batches' videos; the encoder must be in eval mode."""
    rows, pooled = [], []
    for batch in batches:
        vector = encoder(batch.to(device)).pooled
        rows.append(batch.rows)
        pooled.append(vector)
    found, order = torch.cat(rows).sort()
    return Precomputed(found.to(device), torch.cat(pooled)[order.to(device)])
