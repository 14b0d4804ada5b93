"""Fusions and gates that rescale the features of pooled vectors."""

import torch
from pydantic import PositiveInt
from torch import Tensor, nn

from lib.models.processes import jointly
from lib.models.video_model import Joint, States, from_vector, pooled_of


class SqueezeExcite(nn.Module):
    """x · sigmoid(W2 relu(W1 x)) with a bottleneck and no biases, on vectors [B, D]. With zero weights it halves its
    input. Used by: the WeChat baseline, twice. Raises ValueError: the width is not a multiple of ``ratio``."""

    def __init__(self, dim: int, *, ratio: int = 8):
        super().__init__()
        if dim % ratio:
            raise ValueError(f"SqueezeExcite: width {dim} is not a multiple of the ratio {ratio}")
        self.squeeze = nn.Linear(dim, dim // ratio, bias=False)
        self.excite = nn.Linear(dim // ratio, dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.excite(torch.relu(self.squeeze(x))))


class ConcatSE(nn.Module):
    """[frames; text] pooled vectors, dropout, linear map without activation, squeeze-and-excitation. The joint states
    are that one vector, [B, 1, output_dim]. Used by: the WeChat baseline."""

    pooled_only = True

    def __init__(self, text_dim: int, frames_dim: int, output_dim: int = 512, dropout: float = 0.3, se_ratio: int = 8):
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.project = nn.Linear(frames_dim + text_dim, output_dim)
        self.gate = SqueezeExcite(output_dim, ratio=se_ratio)
        self.output_dim = output_dim

    def forward(self, text: States, frames: States) -> Joint:
        t, v = pooled_of("ConcatSE", text, frames, "BertText with pooler: true, NextVladFrames")
        return from_vector(self.gate(self.project(self.dropout(torch.cat([v, t], dim=-1)))))


class SideBatchNorm(nn.BatchNorm1d):
    """Batch norm of [B, D] that in training takes each side of a batch of pairs for itself.

    A batch of pairs holds all first videos and then all second ones. The original ran the model once per side, so
    statistics are those of a side and the running ones move once per side. Batches that cannot be cut into sides of at
    least two videos are taken whole. Used by: AIAC rank 17 (C7-11). ``sides``: equal parts of a training batch; 1 takes
    it whole.
    """

    def __init__(self, dim: int, sides: int = 2):
        super().__init__(dim)
        self.sides = sides

    def forward(self, x: Tensor) -> Tensor:
        return jointly(self, self._by_side, x)

    def _by_side(self, x: Tensor) -> Tensor:
        normalise = super().forward
        if not self.training or len(x) % self.sides or len(x) < 2 * self.sides:
            return normalise(x)
        return torch.cat([normalise(part) for part in x.chunk(self.sides)])


class FeatureGate(nn.Module):
    """sigmoid(BatchNorm(W x + b)) on vectors [B, D]: one factor per feature, in (0, 1). Called a squeeze-and-excitation
    gate by its authors, but without squeeze or bottleneck. Zero weights and a fresh norm give 1/2 everywhere in eval
    mode. Used by: AIAC rank 17, both models."""

    def __init__(self, dim: int, sides: int = 2):
        super().__init__()
        self.linear = nn.Linear(dim, dim)
        self.norm = SideBatchNorm(dim, sides)

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.norm(self.linear(x)))


class GatedSum(nn.Module):
    """Both pooled vectors mapped to one width and added, each feature of each with its own gate. v = V frames, t = T
    text, g = gate([v; t]), result g[:E] * v + g[E:] * t. The joint states are that one vector [B, E], and it is the
    embedding already (head ``Identity``). Used by: AIAC rank 17, first model."""

    pooled_only = True  # so that frozen encoders need to run but once

    def __init__(self, text_dim: int, frames_dim: int, output_dim: int = 256, sides: PositiveInt = 2):
        super().__init__()
        self.project_text = nn.Linear(text_dim, output_dim)
        self.project_frames = nn.Linear(frames_dim, output_dim)
        self.gate = FeatureGate(2 * output_dim, sides)
        self.output_dim = output_dim

    def forward(self, text: States, frames: States) -> Joint:
        t, v = pooled_of("GatedSum", text, frames, "BertText with pool: first, VideoTransformer")
        both = torch.cat([self.project_frames(v), self.project_text(t)], dim=-1)
        of_frames, of_text = (self.gate(both) * both).chunk(2, dim=-1)
        return from_vector(of_frames + of_text)
