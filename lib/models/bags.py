"""Encoders that ignore order: what a linear model of n-grams and mean features reads. They need no pretrained weights.

A system that is trained from random weights should be held against them; the question ``bags`` of the report does so.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lib.data.batch import Batch
from lib.models.sequences import masked_mean
from lib.models.video_model import States, from_vector

PRIME = 1_000_003  # spreads the ids of an n-gram over the buckets


class NgramBag(nn.Module):
    """The sum of the vectors of a text's token n-grams, hashed into a table of fixed size; ``pooled`` [B, output_dim].

    Special tokens count as tokens, so n-grams know where a field begins and ends. Source: Joulin et al. 2017, Bag of tricks
    for efficient text classification (fastText); the layer norm stands in for its average. No competition's system used it.

    Args:
        output_dim: width of an n-gram's vector.
        orders: lengths of the n-grams.
        buckets: rows of the table; n-grams that fall into one row share a vector.
        dropout: on the text's vector.

    Raises:
        ValueError: an order below 1, or fewer than 2 buckets.
    """

    def __init__(
        self, output_dim: int = 256, orders: Sequence[int] = (1, 2, 3), buckets: int = 32_768, dropout: float = 0.3
    ) -> None:
        super().__init__()
        if not orders or min(orders) < 1 or buckets < 2:
            raise ValueError(f"NgramBag: orders of 1 or more and 2 buckets or more, got {list(orders)} and {buckets}")
        self.table = nn.EmbeddingBag(buckets, output_dim, mode="sum")
        nn.init.normal_(self.table.weight, std=0.1)
        self.norm, self.dropout = nn.LayerNorm(output_dim), nn.Dropout(dropout)
        self.orders, self.output_dim = tuple(orders), output_dim

    def forward(self, batch: Batch) -> States:
        rows, real = self.rows(batch.input_ids, batch.text_mask)
        share = real / real.sum(dim=1, keepdim=True).clamp(min=1).sqrt()
        pooled = self.dropout(self.norm(self.table(rows, per_sample_weights=share.to(self.table.weight.dtype))))
        return from_vector(pooled)

    def rows(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Rows of the table, int64 [B, N], and which of them are n-grams of real tokens only, bool [B, N]."""
        rows, real = [], []
        for order in self.orders:
            places = max(ids.shape[1] - order + 1, 0)
            hashed, whole = ids.new_full((len(ids), places), order), mask.new_ones(len(ids), places)
            for step in range(order):
                hashed = hashed * PRIME + ids[:, step : step + places]  # int64 wraps around, alike on every device
                whole = whole & mask[:, step : step + places]
            rows.append((hashed ^ (hashed >> 17)).remainder(self.table.num_embeddings))
            real.append(whole)
        return torch.cat(rows, dim=1), torch.cat(real, dim=1)


class MeanFrames(nn.Module):
    """The mean frame, standardised over the batch, through one linear map and a layer norm; ``pooled`` [B, output_dim].

    No competition's system used it.

    Args:
        frame_dim: width of the frame features.
        output_dim: width of the vector.
        dropout: on the vector.
    """

    def __init__(self, frame_dim: int, output_dim: int = 256, dropout: float = 0.3) -> None:
        super().__init__()
        self.standardise = nn.BatchNorm1d(frame_dim, affine=False)
        self.project = nn.Linear(frame_dim, output_dim)
        self.norm, self.dropout = nn.LayerNorm(output_dim), nn.Dropout(dropout)
        self.output_dim = output_dim

    def forward(self, batch: Batch) -> States:
        mean = self.standardise(masked_mean(batch.frames, batch.frame_mask))
        return from_vector(self.dropout(self.norm(self.project(mean))))
