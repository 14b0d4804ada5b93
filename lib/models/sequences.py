"""What models over padded sequences share: masked pooling, packed recurrent layers, dropout of whole channels.

Everywhere a mask is bool [B, L], True where real, and None where an original looks at the padding too.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class SpatialDropout(nn.Dropout):
    """Dropout of whole channels: one mask per sequence, the same at every position, on [B, L, D]."""

    def forward(self, x: Tensor) -> Tensor:
        return F.dropout1d(x.transpose(1, 2), self.p, self.training).transpose(1, 2)


class SequenceNorm(nn.BatchNorm1d):
    """Batch norm of channels [B, C, L] over batch and time; with a mask only real positions count, others become 0.

    While training, a batch with fewer than two real positions has no variance and uses the running statistics.
    """

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        if mask is None:
            return super().forward(x)
        real = x.transpose(1, 2)[mask]  # [n, C]
        few = self.training and len(real) < 2
        normed = (
            F.batch_norm(real, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
            if few
            else super().forward(real)
        )
        out = normed.new_zeros(x.shape[0], x.shape[2], x.shape[1])
        out[mask] = normed
        return out.transpose(1, 2)


def nonempty(mask: Tensor) -> Tensor:
    """The mask, where an empty sequence counts its first position: a title without a single known word is one padding
    word, whose vector is trained like any other. Keeps every softmax, mean and maximum finite.
    """
    first = torch.zeros_like(mask)
    first[:, :1] = True
    return mask | (first & ~mask.any(dim=1, keepdim=True))


def masked_mean(x: Tensor, mask: Tensor | None) -> Tensor:
    """[B, L, D] -> [B, D]; 0 where nothing is valid."""
    if mask is None:
        return x.mean(dim=1)
    weight = mask.unsqueeze(-1)
    return x.masked_fill(~weight, 0.0).sum(dim=1) / weight.sum(dim=1).clamp(min=1)


def masked_max(x: Tensor, mask: Tensor | None) -> Tensor:
    """[B, L, D] -> [B, D]."""
    if mask is not None:
        x = x.masked_fill(~mask.unsqueeze(-1), torch.finfo(x.dtype).min)
    return x.amax(dim=1)


def masked_softmax(scores: Tensor, mask: Tensor | None, dim: int) -> Tensor:
    """Softmax in float32 over the entries that ``mask``, broadcast to the scores, leaves."""
    scores = scores.float()
    if mask is not None:
        scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    return torch.softmax(scores, dim=dim)


def recurrent(kind: Literal["gru", "lstm"], input_dim: int, width: int) -> nn.GRU | nn.LSTM:
    """One bidirectional layer, ``width`` numbers in either direction."""
    return {"gru": nn.GRU, "lstm": nn.LSTM}[kind](input_dim, width, batch_first=True, bidirectional=True)


def run_recurrent(layer: nn.RNNBase, x: Tensor, mask: Tensor | None) -> Tensor:
    """States [B, L, 2·width] of a recurrent layer.

    With a mask, whose real positions come first and of which every row has one, the backward direction starts at the
    last real position and padding gets zeros. Without, padding is read like everything else.
    """
    if mask is None:
        return layer(x)[0]
    lengths = mask.sum(dim=1).cpu()  # packing wants them there
    packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    return nn.utils.rnn.pad_packed_sequence(layer(packed)[0], batch_first=True, total_length=x.shape[1])[0]
