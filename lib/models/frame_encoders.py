"""Frame encoders: from frame features to states."""

from __future__ import annotations

import torch
from torch import nn

from lib.data.batch import Batch
from lib.models.bert import init_like_bert, init_std
from lib.models.gating import SqueezeExcite
from lib.models.nextvlad import NextVlad
from lib.models.video_model import States


class FrameProjection(nn.Module):
    """Each frame as one word: linear map to the backbone's width, own position and type tables, layer norm, dropout.

    Initialised like BERT. The original reuses BERT's whole embedding class here and so carries a word table that
    nothing ever reads (21,635,072 parameters, quirk A7-14); it is left out.
    Used by: AIAC rank 1.

    Args:
        frame_dim: width of the frame features.
        hidden: width of the backbone.
        positions: rows of the position table; the published one has 512, of which 32 are used.
        dropout: on the sum, after the layer norm.
    """

    def __init__(self, frame_dim: int, hidden: int, positions: int = 512, dropout: float = 0.1) -> None:
        super().__init__()
        self.project = nn.Linear(frame_dim, hidden)
        self.position_embeddings = nn.Embedding(positions, hidden)
        self.token_type_embeddings = nn.Embedding(2, hidden)
        self.LayerNorm = nn.LayerNorm(hidden, eps=1e-12)
        self.dropout = nn.Dropout(dropout)
        init_like_bert(self, init_std(hidden))
        self.output_dim = hidden

    def forward(self, batch: Batch) -> States:
        count = batch.frames.shape[1]
        if count > self.position_embeddings.num_embeddings:
            raise ValueError(
                f"FrameProjection: {count} frames, but positions = {self.position_embeddings.num_embeddings}"
            )
        hidden = (
            self.project(batch.frames) + self.position_embeddings.weight[:count] + self.token_type_embeddings.weight[0]
        )
        return States(self.dropout(self.LayerNorm(hidden)), batch.frame_mask)


class LinearFrames(nn.Module):
    """Each frame through one linear map to the backbone's width, nothing else: the fusion adds positions.

    Used by: AIAC rank 17, second model.

    Args:
        frame_dim: width of the frame features.
        hidden: width of the backbone.
    """

    def __init__(self, frame_dim: int, hidden: int) -> None:
        super().__init__()
        self.project = nn.Linear(frame_dim, hidden)
        self.output_dim = hidden

    def forward(self, batch: Batch) -> States:
        return States(self.project(batch.frames), batch.frame_mask)


class NextVladFrames(nn.Module):
    """All frames of a video as one vector: NeXtVLAD, then a squeeze-and-excitation gate.

    States hold that vector as a sequence of length one and as ``pooled``.
    Used by: the WeChat baseline.

    Args:
        frame_dim: width of the frame features.
        output_dim: width of the vector.
        clusters, groups, expansion, dropout, respect_mask: see ``NextVlad``; ``respect_mask`` false is quirk B1.
        se_ratio: bottleneck of the gate.
    """

    def __init__(
        self,
        frame_dim: int,
        output_dim: int = 1024,
        clusters: int = 64,
        groups: int = 8,
        expansion: int = 2,
        dropout: float = 0.3,
        se_ratio: int = 8,
        respect_mask: bool = True,
    ) -> None:
        super().__init__()
        self.vlad = NextVlad(
            frame_dim,
            output_dim,
            clusters=clusters,
            groups=groups,
            expansion=expansion,
            dropout=dropout,
            respect_mask=respect_mask,
        )
        self.gate = SqueezeExcite(output_dim, ratio=se_ratio)
        self.output_dim = output_dim

    def forward(self, batch: Batch) -> States:
        pooled = self.gate(self.vlad(batch.frames, batch.frame_mask))
        mask = torch.ones(len(pooled), 1, dtype=torch.bool, device=pooled.device)
        return States(pooled.unsqueeze(1), mask, pooled)
