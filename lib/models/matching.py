"""Comparing two sides, here title and frames of one video: match features of pooled vectors, ESIM, Enhanced-RCNN."""

from typing import Literal

import torch
from torch import Tensor, nn

from lib.models.processes import whole
from lib.models.sequences import (
    SequenceNorm,
    SpatialDropout,
    masked_max,
    masked_mean,
    masked_softmax,
    nonempty,
    recurrent,
    run_recurrent,
)
from lib.models.video_model import Joint, States, from_vector, pooled_of


def match_features(left: Tensor, right: Tensor) -> Tensor:
    """[left; right; left − right; left · right] along the last dimension, [..., D] twice -> [..., 4·D]."""
    return torch.cat([left, right, left - right, left * right], dim=-1)


def cross_align(left: Tensor, right: Tensor, left_mask: Tensor | None, right_mask: Tensor | None):
    """For every position of one side the attention-weighted mean of the other, scores being plain inner products.
    Returns ``right`` as seen from ``left`` [B, L, D], ``left`` as seen from ``right`` [B, R, D]. ``left_mask``,
    ``right_mask``: bool [B, L] and [B, R]; None looks at the padding too."""
    over_left, over_right = alignment_weights(left, right, left_mask, right_mask)
    return over_right.to(right.dtype) @ right, over_left.transpose(1, 2).to(left.dtype) @ left


def alignment_weights(left: Tensor, right: Tensor, left_mask: Tensor | None, right_mask: Tensor | None):
    """The inner products [B, L, R], softmaxed over the left positions and over the right positions."""
    scores = left @ right.transpose(1, 2)
    over_left = masked_softmax(scores, None if left_mask is None else left_mask.unsqueeze(2), dim=1)
    over_right = masked_softmax(scores, None if right_mask is None else right_mask.unsqueeze(1), dim=2)
    return over_left, over_right


def same_width(who: str, text_dim: int, frames_dim: int, why: str) -> int:
    """The common width of both sides, or an error that says how to get one."""
    if text_dim != frames_dim:
        raise ValueError(f"{who}: text is {text_dim} and frames are {frames_dim} wide, but {why}; make them equal")
    return text_dim


class MatchPooled(nn.Module):
    """The match features of the two sides' pooled vectors, [B, 4·D]; no parameters. ``text_dim``, ``frames_dim``:
    widths of the pooled vectors, equal. Raises ValueError: the widths differ, or an encoder makes no pooled vector.
    Used by: AIAC rank 6 (``lstm_nextvlad``: mean of a BiLSTM over words, NeXtVLAD of frames)."""

    def __init__(self, text_dim: int, frames_dim: int):
        super().__init__()
        self.output_dim = 4 * same_width("MatchPooled", text_dim, frames_dim, "they are subtracted")

    def forward(self, text: States, frames: States) -> Joint:
        return from_vector(match_features(*pooled_of("MatchPooled", text, frames, "RecurrentWords, NextVladFrames")))


class Esim(nn.Module):
    """Encode both sides with one BiLSTM, align each with the other, compose with a second BiLSTM, mean and maximum.

    Enhanced Sequential Inference Model, Chen et al. 2017, arXiv:1609.06038, between title and frames. Both LSTMs read
    real positions only. Everything is shared by title and frames. [mean; max] of both sides make the vector, [B,
    8·width]. Initialised as published: Xavier for matrices, orthogonal recurrent matrices, zero biases except 1 for the
    forget gate. Used by: AIAC rank 6 (``esim``). ``mask``: ``lengths`` lets alignment, mean and maximum see real
    positions only. ``ones`` is the original's: they also see the zeros behind shorter items, so that an embedding
    depends on its batch (B7-2).
    """

    def __init__(
        self,
        text_dim: int,
        frames_dim: int,
        width: int = 1280,
        dropout: float = 0.2,
        mask: Literal["lengths", "ones"] = "lengths",
    ):
        super().__init__()
        input_dim = same_width("Esim", text_dim, frames_dim, "one encoder reads both")
        self.encoder = recurrent("lstm", input_dim, width)
        self.project = nn.Linear(8 * width, width)
        self.dropout = SpatialDropout(dropout)
        self.composer = recurrent("lstm", width, width)
        self.mask, self.output_dim = mask, 8 * width
        self._initialise()

    def forward(self, text: States, frames: States) -> Joint:
        text_mask, frame_mask = self._cropped(text.mask), self._cropped(frames.mask)
        a, b = self._encode(text.hidden, text_mask), self._encode(frames.hidden, frame_mask)
        text_seen, frames_seen = (None, None) if self.mask == "ones" else (text_mask, frame_mask)
        b_for_a, a_for_b = cross_align(a, b, text_seen, frames_seen)
        pooled = [*self._compose(a, b_for_a, text_mask, text_seen), *self._compose(b, a_for_b, frame_mask, frames_seen)]
        return from_vector(torch.cat(pooled, dim=-1))

    def _cropped(self, mask: Tensor) -> Tensor:
        """The mask up to the longest item of the batch."""
        mask = nonempty(mask)
        lengths = mask.sum(dim=1)
        return mask[:, : int((whole(lengths) if self.training else lengths).max())]

    def _encode(self, hidden: Tensor, mask: Tensor) -> Tensor:
        return run_recurrent(self.encoder, hidden[:, : mask.shape[1]], mask)

    def _compose(self, own: Tensor, other: Tensor, mask: Tensor, seen: Tensor | None) -> tuple[Tensor, Tensor]:
        compared = self.dropout(torch.relu(self.project(match_features(own, other))))
        composed = run_recurrent(self.composer, compared, mask)
        return masked_mean(composed, seen), masked_max(composed, seen)

    def _initialise(self) -> None:
        nn.init.xavier_uniform_(self.project.weight)
        nn.init.zeros_(self.project.bias)
        for lstm in (self.encoder, self.composer):
            for name, parameter in lstm.named_parameters():
                if name.startswith("weight_ih"):
                    nn.init.xavier_uniform_(parameter)
                elif name.startswith("weight_hh"):
                    nn.init.orthogonal_(parameter)
                else:
                    nn.init.zeros_(parameter)
                    if name.startswith("bias_hh"):  # torch orders the gates input, forget, cell, output
                        nn.init.ones_(parameter.data[lstm.hidden_size : 2 * lstm.hidden_size])


class ConvBranches(nn.Module):
    """Convolutions of width 1, 1-3 and 1-5 side by side, mean and maximum over them: [B, L, D] -> [B, L', C'].

    With three branches the two maps stand side by side, [B, L, 2·channels]; with two, as published, the third branch
    is missing and the maps stand one behind the other in time, [B, 2·L, channels] (B7-10; the original computes the
    third and drops it).
    """

    def __init__(self, input_dim: int, channels: int, branches: int):
        super().__init__()
        self.branches = branches
        self.inner = nn.ModuleList([nn.Conv1d(input_dim, channels, 1) for _ in range(branches)])
        self.outer = nn.ModuleList([nn.Identity()])
        self.outer.extend(nn.Conv1d(channels, channels, k, padding=k // 2) for k in (3, 5)[: branches - 1])
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
    The original adds 1e-10 to the weights, which is below float32's resolution."""

    def __init__(self, input_dim: int, positions: int):
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
    """Enhanced-RCNN (Peng et al. 2020, WWW): one BiGRU for both sides; per side a convolution block, position attention
    and soft alignment; both compared.

    Per side [mean; max] of the convolution maps and of [aligned; attended; difference; product]; the vector
    [B, output_dim] is the match features of the two sides. Used by: AIAC rank 6 (``erc``).

    Args:
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
    ):
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
    def _side(x: Tensor, aligned: Tensor, mask: Tensor | None, conv: ConvBranches, attend: PositionAttention) -> Tensor:
        maps, maps_mask = conv(x, mask)
        compared = match_features(aligned, attend(x, mask))
        pooled = [pool(x, m) for x, m in ((maps, maps_mask), (compared, mask)) for pool in (masked_mean, masked_max)]
        return torch.cat(pooled, dim=-1)
