"""Comparing two sides, as text matching does: here the sides are the title and the frames of one video."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lib.models.sequences import masked_softmax
from lib.models.video_model import Joint, States


def match_features(left: Tensor, right: Tensor) -> Tensor:
    """[left; right; left − right; left · right] along the last dimension, [..., D] twice -> [..., 4·D]."""
    return torch.cat([left, right, left - right, left * right], dim=-1)


def cross_align(left: Tensor, right: Tensor, left_mask: Tensor | None, right_mask: Tensor | None):
    """For every position of one side the attention-weighted mean of the other, scores being plain inner products.

    Args:
        left, right: [B, L, D] and [B, R, D].
        left_mask, right_mask: bool [B, L] and [B, R]; None looks at the padding too.

    Returns:
        ``right`` as seen from ``left`` [B, L, D], ``left`` as seen from ``right`` [B, R, D].
    """
    over_left, over_right = alignment_weights(left, right, left_mask, right_mask)
    return over_right.to(right.dtype) @ right, over_left.transpose(1, 2).to(left.dtype) @ left


def alignment_weights(left: Tensor, right: Tensor, left_mask: Tensor | None, right_mask: Tensor | None):
    """The inner products [B, L, R], softmaxed over the left positions and over the right positions."""
    scores = left @ right.transpose(1, 2)
    over_left = masked_softmax(scores, None if left_mask is None else left_mask.unsqueeze(2), dim=1)
    over_right = masked_softmax(scores, None if right_mask is None else right_mask.unsqueeze(1), dim=2)
    return over_left, over_right


def as_joint(vector: Tensor) -> Joint:
    """A vector per video as joint states: a sequence of one, which is also the pooled vector."""
    return Joint(vector.unsqueeze(1), torch.ones(len(vector), 1, dtype=torch.bool, device=vector.device), vector)


def same_width(who: str, text_dim: int, frames_dim: int, why: str) -> int:
    """The common width of both sides, or an error that says how to get one."""
    if text_dim != frames_dim:
        raise ValueError(f"{who}: text is {text_dim} and frames are {frames_dim} wide, but {why}; make them equal")
    return text_dim


class MatchPooled(nn.Module):
    """The match features of the two sides' pooled vectors; no parameters.

    Used by: AIAC rank 6 (``lstm_nextvlad``: mean of a BiLSTM over words, NeXtVLAD of frames).

    Args:
        text_dim, frames_dim: widths of the pooled vectors, equal.

    Raises:
        ValueError: the widths differ, or an encoder makes no pooled vector.
    """

    def __init__(self, text_dim: int, frames_dim: int) -> None:
        super().__init__()
        self.output_dim = 4 * same_width("MatchPooled", text_dim, frames_dim, "they are subtracted")

    def forward(self, text: States, frames: States) -> Joint:
        if text.pooled is None or frames.pooled is None:
            raise ValueError("MatchPooled needs encoders that make pooled vectors (RecurrentWords, NextVladFrames)")
        return as_joint(match_features(text.pooled, frames.pooled))
