"""Heads: from one vector per video to its embedding or its logits."""

from __future__ import annotations

from torch import Tensor, nn

from lib.models.gating import FeatureGate
from lib.models.video_model import HeadOutput


class Projection(nn.Module):
    """A linear map to the embedding [B, E], not normalised: whoever compares embeddings takes the cosine.

    Used by: the AIAC systems.

    Args:
        input_dim: width of the pooled vector.
        dim: width of the embedding; the contest asked for at most 256.
    """

    def __init__(self, input_dim: int, dim: int = 256) -> None:
        super().__init__()
        self.project = nn.Linear(input_dim, dim)
        self.output_dim = dim

    def forward(self, pooled: Tensor) -> HeadOutput:
        return HeadOutput(embedding=self.project(pooled))


class Classifier(nn.Module):
    """A linear map to the categories' logits [B, C]. Used by: the WeChat systems.

    Args:
        input_dim: width of the pooled vector.
        num_classes: categories of the corpus.
        dropout: on the pooled vector; the baseline has none here.
    """

    def __init__(self, input_dim: int, num_classes: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.classify = nn.Linear(input_dim, num_classes)
        self.output_dim = num_classes

    def forward(self, pooled: Tensor) -> HeadOutput:
        return HeadOutput(logits=self.classify(self.dropout(pooled)))


class Identity(nn.Module):
    """The pooled vector [B, H] is the embedding already. Used by: AIAC rank 17, first model."""

    def __init__(self, input_dim: int) -> None:
        super().__init__()
        self.output_dim = input_dim

    def forward(self, pooled: Tensor) -> HeadOutput:
        return HeadOutput(embedding=pooled)


class GatedProjection(nn.Module):
    """A gate on the pooled vector's features, then a linear map to the embedding [B, E], not normalised.

    Used by: AIAC rank 17, second model.

    Args:
        input_dim: width of the pooled vector.
        dim: width of the embedding.
        sides: parts of a training batch that are normalised apart (see ``SideBatchNorm``).
    """

    def __init__(self, input_dim: int, dim: int = 256, sides: int = 2) -> None:
        super().__init__()
        self.gate = FeatureGate(input_dim, sides)
        self.project = nn.Linear(input_dim, dim)
        self.output_dim = dim

    def forward(self, pooled: Tensor) -> HeadOutput:
        return HeadOutput(embedding=self.project(self.gate(pooled) * pooled))
