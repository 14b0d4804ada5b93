"""Poolings, from joint states [B, L, D] to one vector per video [B, H], and heads, from that vector to embedding or logits."""

import torch
from torch import Tensor, nn

from lib.models.gating import FeatureGate
from lib.models.sequences import masked_mean, masked_softmax
from lib.models.video_model import HeadOutput, Joint


class ClsPool(nn.Module):
    """The state of the first text token [B, D], wherever the layout put it. For questions; no recipe has it by itself."""

    def __init__(self, input_dim: int):
        super().__init__()
        self.output_dim = input_dim

    def forward(self, joint: Joint) -> Tensor:
        if joint.text_index is None:
            raise ValueError("ClsPool: the fusion kept no text position; use FirstPooled")
        return joint.hidden.index_select(1, joint.text_index[:1]).squeeze(1)


class MeanPool(nn.Module):
    """Mean over the valid positions, [B, D]. Used by: AIAC rank 1, jobs 1, 2, 3, 6. ``include_padding``: average over
    padded positions too, as the original does (quirk A7-1). The result then depends on how far a batch is padded: only
    with text and frames padded to their full lengths is it the original's."""

    def __init__(self, input_dim: int, include_padding: bool = False):
        super().__init__()
        self.include_padding = include_padding
        self.output_dim = input_dim

    def forward(self, joint: Joint) -> Tensor:
        return masked_mean(joint.hidden, None if self.include_padding else joint.mask)


class AttentionPool(nn.Module):
    """Softmax-weighted mean [B, D] with scores w2·tanh(W1 h + b1) + b2. Used by: AIAC rank 1, jobs 4, 5.
    ``include_padding``: give padded positions a score too, as the original does (quirk A7-1; see ``MeanPool``)."""

    def __init__(self, input_dim: int, include_padding: bool = False):
        super().__init__()
        self.transform = nn.Linear(input_dim, input_dim)
        self.score = nn.Linear(input_dim, 1)
        self.include_padding = include_padding
        self.output_dim = input_dim

    def forward(self, joint: Joint) -> Tensor:
        scores = self.score(torch.tanh(self.transform(joint.hidden)))  # [B, L, 1]
        weights = masked_softmax(scores, None if self.include_padding else joint.mask.unsqueeze(-1), dim=1)
        return (joint.hidden * weights).sum(dim=1)


class FirstAndFramesPool(nn.Module):
    """[state of the first text token; mean over the valid frames] [B, 2·D]. A video without a frame has zeros in the
    second half. Used by: AIAC rank 17, second model. Raises ValueError: the fusion kept no positions of text and
    frames."""

    def __init__(self, input_dim: int):
        super().__init__()
        self.output_dim = 2 * input_dim

    def forward(self, joint: Joint) -> Tensor:
        if joint.text_index is None or joint.frame_index is None:
            raise ValueError(
                "FirstAndFramesPool: the fusion kept no positions of text and frames; use a fusion that keeps "
                "them (CrossTransformer, SingleStream)"
            )
        first = joint.hidden.index_select(1, joint.text_index[:1]).squeeze(1)
        frames, mask = (x.index_select(1, joint.frame_index) for x in (joint.hidden, joint.mask))
        return torch.cat([first, masked_mean(frames, mask)], dim=-1)


class FirstPooled(nn.Module):
    """The fusion's own vector if it made one, else the state at the first position, [B, D]. Used by: the WeChat
    systems; AIAC ranks 6 and 17 (first model)."""

    def __init__(self, input_dim: int):
        super().__init__()
        self.output_dim = input_dim

    def forward(self, joint: Joint) -> Tensor:
        return joint.pooled if joint.pooled is not None else joint.hidden[:, 0]


class Projection(nn.Module):
    """A linear map to the embedding [B, E], not normalised: whoever compares embeddings takes the cosine. Used by: AIAC
    ranks 1 and 6. ``dim``: width of the embedding; the contest asked for at most 256."""

    def __init__(self, input_dim: int, dim: int = 256):
        super().__init__()
        self.project = nn.Linear(input_dim, dim)
        self.output_dim = dim

    def forward(self, pooled: Tensor) -> HeadOutput:
        return HeadOutput(embedding=self.project(pooled))


class Classifier(nn.Module):
    """A linear map to the categories' logits [B, C]. Used by: the WeChat systems. ``dropout``: on the pooled vector;
    the baseline has none here."""

    def __init__(self, input_dim: int, num_classes: int, dropout: float = 0.0):
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.classify = nn.Linear(input_dim, num_classes)
        self.output_dim = num_classes

    def forward(self, pooled: Tensor) -> HeadOutput:
        return HeadOutput(logits=self.classify(self.dropout(pooled)))


class Identity(nn.Module):
    """The pooled vector [B, H] is the embedding already. Used by: AIAC rank 17, first model."""

    def __init__(self, input_dim: int):
        super().__init__()
        self.output_dim = input_dim

    def forward(self, pooled: Tensor) -> HeadOutput:
        return HeadOutput(embedding=pooled)


class GatedProjection(nn.Module):
    """A gate on the pooled vector's features, then a linear map to the embedding [B, E], not normalised. Used by: AIAC
    rank 17, second model. ``sides``: parts of a training batch that are normalised apart (see ``SideBatchNorm``)."""

    def __init__(self, input_dim: int, dim: int = 256, sides: int = 2):
        super().__init__()
        self.gate = FeatureGate(input_dim, sides)
        self.project = nn.Linear(input_dim, dim)
        self.output_dim = dim

    def forward(self, pooled: Tensor) -> HeadOutput:
        return HeadOutput(embedding=self.project(self.gate(pooled) * pooled))
