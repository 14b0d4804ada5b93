"""What models over padded sequences share. A mask is bool [B, L], True where real, and None where an original looks at
the padding too."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lib.models.processes import jointly


class SpatialDropout(nn.Dropout):
    """Dropout of whole channels: one mask per sequence, the same at every position, on [B, L, D]."""

    def forward(self, x: Tensor) -> Tensor:
        return F.dropout1d(x.transpose(1, 2), self.p, self.training).transpose(1, 2)


class SequenceNorm(nn.BatchNorm1d):
    """Batch norm of channels [B, D, L] over batch and time; with a mask only real positions count, others become 0."""

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        return jointly(self, self._over, x, mask)

    def _over(self, x: Tensor, mask: Tensor | None) -> Tensor:
        if mask is None:
            return super().forward(x)
        normed = batch_norm(self, x.transpose(1, 2)[mask])  # [n, C]
        out = normed.new_zeros(x.shape[0], x.shape[2], x.shape[1])
        out[mask] = normed
        return out.transpose(1, 2)


def batch_norm(norm: nn.BatchNorm1d, x: Tensor) -> Tensor:
    """Of [n, C]; while training, fewer than two rows have no variance, and the running statistics are used."""
    if norm.training and len(x) < 2:
        return F.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps)
    return nn.BatchNorm1d.forward(norm, x)


def nonempty(mask: Tensor) -> Tensor:
    """The mask, where an empty sequence counts its first position: a title without a single known word is one padding
    word, whose vector is trained like any other. Keeps every softmax, mean and maximum finite."""
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
    """Softmax in float32 over the entries that ``mask``, broadcast to the scores, leaves. The others get the lowest
    number, not -inf: a row without a single valid entry must not become NaN."""
    scores = scores.float()
    if mask is not None:
        scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    return torch.softmax(scores, dim=dim)


def recurrent(kind: Literal["gru", "lstm"], input_dim: int, width: int) -> nn.GRU | nn.LSTM:
    """One bidirectional layer, ``width`` numbers in either direction."""
    return {"gru": nn.GRU, "lstm": nn.LSTM}[kind](input_dim, width, batch_first=True, bidirectional=True)


def run_recurrent(layer: nn.RNNBase, x: Tensor, mask: Tensor | None) -> Tensor:
    """States [B, L, 2·width] of a recurrent layer. With a mask, whose real positions come first and of which every row
    has one, the backward direction starts at the last real position and padding gets zeros. Without, padding is read
    like everything else."""
    if mask is None:
        return layer(x)[0]
    lengths = mask.sum(dim=1).cpu()  # packing wants them there
    packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    return nn.utils.rnn.pad_packed_sequence(layer(packed)[0], batch_first=True, total_length=x.shape[1])[0]


class InceptionBlock(nn.Module):
    """Four branches of a quarter of the channels each, concatenated, batch norm, ReLU: [B, D, L] -> [B, D', L].

    Several kernel widths side by side (Szegedy et al. 2014), in one dimension as used for text: ``1``; ``1 -> norm ->
    ReLU -> 3``; ``3 -> norm -> ReLU -> 5``; ``3`` (kernel sizes). Raises ValueError: the output channels cannot be cut
    into four.
    """

    def __init__(self, input_dim: int, output_dim: int):
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
        """[B, D, L] -> [B, D', L]; with a mask, padding must come in as zeros and goes out as zeros."""
        short = self.short_out(torch.relu(self.short_norm(self.short_in(x), mask)))
        long = self.long_out(torch.relu(self.long_norm(self.long_in(x), mask)))
        return torch.relu(self.norm(torch.cat([self.point(x), short, long, self.local(x)], dim=1), mask))


class InceptionStack(nn.Module):
    """Two blocks, the second on top of the first, both outputs side by side: [B, L, D] -> [B, L, output_dim]. Raises
    ValueError: the output width is not a multiple of eight."""

    def __init__(self, input_dim: int, output_dim: int):
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
