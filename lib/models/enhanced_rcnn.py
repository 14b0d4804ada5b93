"""Enhanced-RCNN (Peng et al. 2020, WWW), a text matching network, between title and frames."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from lib.models.matching import alignment_weights, cross_align, match_features, same_width
from lib.models.sequences import (
    SequenceNorm,
    masked_max,
    masked_mean,
    masked_softmax,
    nonempty,
    recurrent,
    run_recurrent,
)
from lib.models.video_model import Joint, States, from_vector


class ConvBranches(nn.Module):
    """Convolutions of width 1, 1-3 and 1-5 side by side, mean and maximum over them: [B, L, D] -> [B, L', C'].

    With three branches the two maps stand side by side, [B, L, 2·channels]; with two, as published, the third branch
    is missing and the maps stand one behind the other in time, [B, 2·L, channels] (B7-10; the original computes the
    third and drops it).
    """

    def __init__(self, input_dim: int, channels: int, branches: int) -> None:
        super().__init__()
        self.branches = branches
        self.inner = nn.ModuleList([nn.Conv1d(input_dim, channels, 1) for _ in range(branches)])
        self.outer = nn.ModuleList([nn.Identity()])
        self.outer.extend(
            nn.Conv1d(channels, channels, kernel, padding=kernel // 2) for kernel in (3, 5)[: branches - 1]
        )
        self.norms = nn.ModuleList([SequenceNorm(channels) for _ in range(branches)])
        self.output_dim = channels * (branches - 1)

    def forward(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """The maps and the mask that goes with them."""
        x, hide = x.transpose(1, 2), None if mask is None else ~mask.unsqueeze(1)
        maps = []
        for inner, outer, norm in zip(self.inner, self.outer, self.norms, strict=True):
            y = inner(x)
            maps.append(norm(outer(y if hide is None else y.masked_fill(hide, 0.0)), mask))
        stacked = torch.stack(maps)
        both = [stacked.mean(dim=0).transpose(1, 2), stacked.amax(dim=0).transpose(1, 2)]
        if self.branches == 3:
            return torch.cat(both, dim=2), mask
        return torch.cat(both, dim=1), None if mask is None else torch.cat([mask, mask], dim=1)


class PositionAttention(nn.Module):
    """x weighted by a softmax over time of tanh(x·w + b), one bias per position; not summed: [B, L, D] -> [B, L, D].

    The original adds 1e-10 to the weights, which is below float32's resolution.
    """

    def __init__(self, input_dim: int, positions: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(input_dim, 1))
        self.bias = nn.Parameter(torch.zeros(positions))
        nn.init.xavier_uniform_(self.weight)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        length = x.shape[1]
        if length > len(self.bias):
            raise ValueError(f"PositionAttention: {length} positions, made for {len(self.bias)}")
        scores = torch.tanh((x @ self.weight).squeeze(-1) + self.bias[:length])  # [B, L]
        return x * masked_softmax(scores, mask, dim=1).unsqueeze(-1)


class EnhancedRcnn(nn.Module):
    """One BiGRU for both sides; per side a convolution block, position attention and soft alignment; both compared.

    Per side [mean; max] of the convolution maps and of [aligned; attended; difference; product]; the vector
    [B, output_dim] is the match features of the two sides. Used by: AIAC rank 6 (``erc``).

    Args:
        text_dim, frames_dim: widths of what comes in, equal because the GRU is shared.
        num_text_slots, num_frame_slots: longest title and longest video, for the biases of the position attention.
        width: of the GRU in either direction.
        channels: of each convolution branch.
        alignment: ``cross`` aligns each side with the other. ``self_bug`` multiplies the weights with the side they
            belong to, as the original does, which only works where both sides have as many slots (B7-1).
        branches: 3, mean and maximum side by side; 2 is the original's, see ``ConvBranches``.
        mask_padding: padding is left out of everything; the original reads it like words and frames (B7-11).
    """

    def __init__(
        self,
        text_dim: int,
        frames_dim: int,
        num_text_slots: int,
        num_frame_slots: int,
        width: int = 640,
        channels: int = 256,
        alignment: Literal["cross", "self_bug"] = "cross",
        branches: Literal[2, 3] = 3,
        mask_padding: bool = True,
    ) -> None:
        super().__init__()
        self.gru = recurrent("gru", same_width("EnhancedRcnn", text_dim, frames_dim, "one GRU reads both"), width)
        self.text_conv, self.frame_conv = (ConvBranches(2 * width, channels, branches) for _ in range(2))
        self.text_attention = PositionAttention(2 * width, num_text_slots)
        self.frame_attention = PositionAttention(2 * width, num_frame_slots)
        self.alignment, self.mask_padding = alignment, mask_padding
        self.output_dim = 4 * (2 * self.text_conv.output_dim + 2 * 4 * 2 * width)

    def forward(self, text: States, frames: States) -> Joint:
        masks = (nonempty(text.mask), nonempty(frames.mask)) if self.mask_padding else (None, None)
        t, v = run_recurrent(self.gru, text.hidden, masks[0]), run_recurrent(self.gru, frames.hidden, masks[1])
        t_aligned, v_aligned = self._align(t, v, *masks)
        t_all = self._side(t, t_aligned, masks[0], self.text_conv, self.text_attention)
        v_all = self._side(v, v_aligned, masks[1], self.frame_conv, self.frame_attention)
        return from_vector(match_features(t_all, v_all))

    def _align(self, t: Tensor, v: Tensor, t_mask: Tensor | None, v_mask: Tensor | None) -> tuple[Tensor, Tensor]:
        if self.alignment == "cross":
            return cross_align(t, v, t_mask, v_mask)
        if t.shape != v.shape:
            raise ValueError(
                f"EnhancedRcnn: {t.shape[1]} text slots and {v.shape[1]} frame slots; alignment: self_bug needs both "
                "padded to the same length (features.*.pad: full, equal lengths)"
            )
        over_text, over_frames = alignment_weights(t, v, t_mask, v_mask)
        return over_text.to(t.dtype) @ t, over_frames.transpose(1, 2).to(v.dtype) @ v

    @staticmethod
    def _side(
        x: Tensor, aligned: Tensor, mask: Tensor | None, conv: ConvBranches, attention: PositionAttention
    ) -> Tensor:
        maps, maps_mask = conv(x, mask)
        compared = match_features(aligned, attention(x, mask))
        pooled = [
            pool(x, seen) for x, seen in ((maps, maps_mask), (compared, mask)) for pool in (masked_mean, masked_max)
        ]
        return torch.cat(pooled, dim=-1)
