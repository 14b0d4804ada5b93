"""Comparing two sides, as text matching does: here the sides are the title and the frames of one video.

The match features of pooled vectors, and ESIM; ``enhanced_rcnn`` is a third way.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from lib.models.sequences import (
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


def same_width(who: str, text_dim: int, frames_dim: int, why: str) -> int:
    """The common width of both sides, or an error that says how to get one."""
    if text_dim != frames_dim:
        raise ValueError(f"{who}: text is {text_dim} and frames are {frames_dim} wide, but {why}; make them equal")
    return text_dim


class MatchPooled(nn.Module):
    """The match features of the two sides' pooled vectors, [B, 4·D]; no parameters.

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
        return from_vector(match_features(*pooled_of("MatchPooled", text, frames, "RecurrentWords, NextVladFrames")))


class Esim(nn.Module):
    """Encode both sides with one BiLSTM, align each with the other, compose with a second BiLSTM, mean and maximum.

    Enhanced Sequential Inference Model, Chen et al. 2017, arXiv:1609.06038, between title and frames.
    Both LSTMs read real positions only. Everything is shared by title and frames. [mean; max] of both sides make the
    vector, [B, 8·width]. Initialised as published: Xavier for matrices, orthogonal recurrent matrices, zero biases
    except 1 for the forget gate. Used by: AIAC rank 6 (``esim``).

    Args:
        text_dim, frames_dim: widths of what comes in, equal because the encoder is shared.
        width: of the LSTMs in either direction and of the projection between them.
        dropout: of whole channels, on the projection.
        mask: ``lengths`` lets alignment, mean and maximum see real positions only. ``ones`` is the original's: they
            also see the zeros behind shorter items, so that an embedding depends on its batch (B7-2).
    """

    def __init__(
        self,
        text_dim: int,
        frames_dim: int,
        width: int = 1280,
        dropout: float = 0.2,
        mask: Literal["lengths", "ones"] = "lengths",
    ) -> None:
        super().__init__()
        input_dim = same_width("Esim", text_dim, frames_dim, "one encoder reads both")
        self.encoder = recurrent("lstm", input_dim, width)
        self.project = nn.Linear(8 * width, width)
        self.dropout = SpatialDropout(dropout)
        self.composer = recurrent("lstm", width, width)
        self.mask, self.output_dim = mask, 8 * width
        self._initialise()

    def forward(self, text: States, frames: States) -> Joint:
        text_mask, frame_mask = _cropped(nonempty(text.mask)), _cropped(nonempty(frames.mask))
        a, b = self._encode(text.hidden, text_mask), self._encode(frames.hidden, frame_mask)
        text_seen, frames_seen = (None, None) if self.mask == "ones" else (text_mask, frame_mask)
        b_for_a, a_for_b = cross_align(a, b, text_seen, frames_seen)
        pooled = [
            *self._compose(a, b_for_a, text_mask, text_seen),
            *self._compose(b, a_for_b, frame_mask, frames_seen),
        ]
        return from_vector(torch.cat(pooled, dim=-1))

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


def _cropped(mask: Tensor) -> Tensor:
    """The mask up to the longest item of the batch."""
    return mask[:, : int(mask.sum(dim=1).max())]
