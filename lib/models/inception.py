"""Inception over time: several kernel widths side by side (Szegedy et al. 2014, as used for text in one dimension)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lib.models.sequences import SequenceNorm


class InceptionBlock(nn.Module):
    """Four branches of a quarter of the channels each, concatenated, batch norm, ReLU; the length stays.

    ``1``; ``1 -> norm -> ReLU -> 3``; ``3 -> norm -> ReLU -> 5``; ``3`` (kernel sizes).

    Raises:
        ValueError: the output channels cannot be cut into four.
    """

    def __init__(self, input_dim: int, output_dim: int) -> None:
        super().__init__()
        if output_dim % 4:
            raise ValueError(f"InceptionBlock: {output_dim} channels cannot be cut into four branches")
        part = output_dim // 4
        self.point = nn.Conv1d(input_dim, part, 1)
        self.short_in, self.short_norm = nn.Conv1d(input_dim, part, 1), SequenceNorm(part)
        self.short_out = nn.Conv1d(part, part, 3, padding=1)
        self.long_in, self.long_norm = nn.Conv1d(input_dim, part, 3, padding=1), SequenceNorm(part)
        self.long_out = nn.Conv1d(part, part, 5, padding=2)
        self.local = nn.Conv1d(input_dim, part, 3, padding=1)
        self.norm = SequenceNorm(output_dim)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """[B, C, L] -> [B, C', L]; with a mask, padding must come in as zeros and goes out as zeros."""
        short = self.short_out(torch.relu(self.short_norm(self.short_in(x), mask)))
        long = self.long_out(torch.relu(self.long_norm(self.long_in(x), mask)))
        return torch.relu(self.norm(torch.cat([self.point(x), short, long, self.local(x)], dim=1), mask))


class InceptionStack(nn.Module):
    """Two blocks, the second on top of the first, both outputs side by side: [B, L, D] -> [B, L, output_dim].

    Raises:
        ValueError: the output width is not a multiple of eight.
    """

    def __init__(self, input_dim: int, output_dim: int) -> None:
        super().__init__()
        if output_dim % 8:
            raise ValueError(f"InceptionStack: the width {output_dim} must be a multiple of 8 (two blocks of four)")
        half = output_dim // 2
        self.first, self.second = InceptionBlock(input_dim, half), InceptionBlock(half, half)
        self.output_dim = output_dim

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        if mask is not None:
            x = x.masked_fill(~mask.unsqueeze(-1), 0.0)
        first = self.first(x.transpose(1, 2), mask)
        return torch.cat([first, self.second(first, mask)], dim=1).transpose(1, 2)
