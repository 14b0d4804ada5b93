"""Fusions and gates that rescale the features of pooled vectors."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lib.models.video_model import Joint, States


class SqueezeExcite(nn.Module):
    """x · sigmoid(W2 relu(W1 x)) with a bottleneck and no biases, on vectors [B, D].

    With zero weights it halves its input. Used by: the WeChat baseline, twice.

    Raises:
        ValueError: the width is not a multiple of ``ratio``.
    """

    def __init__(self, dim: int, *, ratio: int = 8) -> None:
        super().__init__()
        if dim % ratio:
            raise ValueError(f"SqueezeExcite: width {dim} is not a multiple of the ratio {ratio}")
        self.squeeze = nn.Linear(dim, dim // ratio, bias=False)
        self.excite = nn.Linear(dim // ratio, dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.excite(torch.relu(self.squeeze(x))))


class ConcatSE(nn.Module):
    """[frames; text] pooled vectors, dropout, linear map without activation, squeeze-and-excitation.

    The joint states are that one vector. Used by: the WeChat baseline.

    Args:
        text_dim, frames_dim: widths of the two pooled vectors.
        output_dim: width of the joint vector.
        dropout: on the concatenation.
        se_ratio: bottleneck of the gate.
    """

    def __init__(
        self, text_dim: int, frames_dim: int, output_dim: int = 512, dropout: float = 0.3, se_ratio: int = 8
    ) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.project = nn.Linear(frames_dim + text_dim, output_dim)
        self.gate = SqueezeExcite(output_dim, ratio=se_ratio)
        self.output_dim = output_dim

    def forward(self, text: States, frames: States) -> Joint:
        if text.pooled is None or frames.pooled is None:
            raise ValueError(
                "ConcatSE joins pooled vectors, but an encoder made none (BertText with pooler: true, NextVladFrames)"
            )
        joint = self.gate(self.project(self.dropout(torch.cat([frames.pooled, text.pooled], dim=-1))))
        return Joint(joint.unsqueeze(1), torch.ones(len(joint), 1, dtype=torch.bool, device=joint.device), joint)
