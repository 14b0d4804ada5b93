"""Poolings, from joint states [B, L, D] to one vector per video [B, H], and heads, from that vector to embedding or logits."""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import PositiveInt
from torch import Tensor, nn

from lib.models import bert
from lib.models.gating import FeatureGate, SqueezeExcite
from lib.models.sequences import masked_max, masked_mean, masked_softmax, nonempty
from lib.models.video_model import HeadOutput, Joint


class _AsWide(nn.Module):
    """A part without parameters whose vectors [B, H] are as wide as what it is given."""

    def __init__(self, input_dim: int):
        super().__init__()
        self.output_dim = input_dim


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


class MeanOfMeans(_AsWide):
    """Half the mean over the text and half the mean over the frames [B, D], so that neither side counts by its length.

    Where a side is empty the other counts alone ([I]). 5th of the WeChat final.
    """

    def forward(self, joint: Joint) -> Tensor:
        text, frames = side_means("MeanOfMeans", joint)
        assert joint.text_index is not None and joint.frame_index is not None  # or there would be no means
        sides = (joint.mask[:, index].any(dim=1, keepdim=True) for index in (joint.text_index, joint.frame_index))
        there = torch.cat([*sides], dim=1).sum(dim=1, keepdim=True)
        return (text + frames) / there.clamp(min=1)  # an empty side's mean is 0


class Poolings(nn.Module):
    """Poolings side by side, [B, len(of)·D]. Raises ValueError: the fusion kept no positions, or no earlier states.

    6th of the WeChat final, whose survey says four and not which (U10): ``first``, ``mean``, ``max``, ``attention`` by
    default; those of a neighbour in the contest are ``earlier``, ``mean``, ``tanh``, ``gated`` with ``norm``. ``first`` and
    ``frames``: AIAC rank 17, second model; ``text`` and ``frames``: 1st (M3) and 3rd (A4, A5) of the WeChat final.

    Args:
        of: ``first`` text token's state; over all positions ``mean``, ``max`` and ``attention``; ``text`` and ``frames``, the
            means of a side; ``earlier``, the mean of an earlier layer's states (``SingleStream``); ``tanh``, BERT's pooler;
            ``gated``, that through squeeze-and-excitation.
        norm: one layer norm on the means over all positions, another on the result.
        backbone: whose pooler ``tanh`` starts from; None: random numbers.
    """

    def __init__(
        self,
        input_dim: int,
        of: Sequence[Literal["first", "mean", "max", "attention", "text", "frames", "earlier", "tanh", "gated"]] = (
            "first",
            "mean",
            "max",
            "attention",
        ),
        norm: bool = False,
        backbone: str | None = None,
    ):
        super().__init__()
        self.of, self.output_dim = tuple(of), len(of) * input_dim
        self.attention = AttentionPool(input_dim) if "attention" in of else None
        self.pooler = None
        if {"tanh", "gated"} & set(of) and backbone is not None:
            self.pooler = bert.resolve_backbone(backbone).part("pooler")
        elif {"tanh", "gated"} & set(of):
            self.pooler = bert.part("pooler", bert.stack_config(input_dim))
        self.gate = SqueezeExcite(input_dim) if "gated" in of else None
        self.mean_norm = nn.LayerNorm(input_dim) if norm else nn.Identity()
        self.norm = nn.LayerNorm(self.output_dim) if norm else nn.Identity()

    def forward(self, joint: Joint) -> Tensor:
        return self.norm(torch.cat([self._one(name, joint) for name in self.of], dim=-1))

    def _one(self, name: str, joint: Joint) -> Tensor:
        if name in ("tanh", "gated"):
            assert self.pooler is not None
            pooled = self.pooler(first_token("Poolings", joint).unsqueeze(1))
            return self.gate(pooled) if name == "gated" and self.gate is not None else pooled
        if name == "attention" and self.attention is not None:
            return self.attention(joint)
        if name in ("text", "frames"):
            return side_means("Poolings", joint)[name == "frames"]
        if name == "first":
            return first_token("Poolings", joint)
        if name == "max":
            return masked_max(joint.hidden, nonempty(joint.mask))
        hidden = joint.earlier if name == "earlier" else joint.hidden
        if hidden is None:
            raise ValueError("Poolings: the fusion keeps no earlier states; use SingleStream, or leave out earlier")
        return self.mean_norm(masked_mean(hidden, joint.mask))


class FirstPooled(_AsWide):
    """The fusion's own vector if it made one, else the state at the first position, [B, D]. Used by: the WeChat
    baseline, ranks 3 and 72; AIAC ranks 6 and 17 (first model)."""

    def forward(self, joint: Joint) -> Tensor:
        return joint.pooled if joint.pooled is not None else joint.hidden[:, 0]


def first_token(who: str, joint: Joint) -> Tensor:
    """State of the first text token [B, D], wherever the layout put it. Raises ValueError: the fusion kept none."""
    if joint.text_index is None:
        raise ValueError(f"{who}: the fusion kept no text position; use FirstPooled")
    return joint.hidden.index_select(1, joint.text_index[:1]).squeeze(1)


def side_means(who: str, joint: Joint) -> tuple[Tensor, Tensor]:
    """Means [B, D] over the valid text and over the valid frames; 0 where a side is empty. Raises ValueError: the fusion
    kept no positions of both."""
    if joint.text_index is None or joint.frame_index is None:
        raise ValueError(
            f"{who}: the fusion kept no positions of text and frames; use a fusion that keeps them (CrossTransformer, SingleStream)"
        )
    text, frames = (
        masked_mean(joint.hidden.index_select(1, index), joint.mask.index_select(1, index))
        for index in (joint.text_index, joint.frame_index)
    )
    return text, frames


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
    """From the pooled vector to the categories' logits [B, C]: a linear map, or more in front of it. Used by: the WeChat
    systems.

    Args:
        dropout: on the pooled vector; the baseline has none here.
        norm: a layer norm first (6th of the WeChat final).
        widen: a hidden layer so many times as wide, with ReLU (ALPRO's head: 2); 0: none.
        samples: so many dropout masks while training, whose losses are averaged (a neighbour in the WeChat final: 5 of 0.5).
    """

    def __init__(
        self,
        input_dim: int,
        num_classes: int,
        dropout: float = 0.0,
        norm: bool = False,
        widen: int = 0,
        samples: int = 1,
    ):
        super().__init__()
        inner = widen * input_dim or input_dim
        self.norm = nn.LayerNorm(input_dim) if norm else nn.Identity()
        self.dropout = nn.Dropout(dropout)
        self.inner = nn.Sequential(nn.Linear(input_dim, inner), nn.ReLU()) if widen else nn.Identity()
        self.classify = nn.Linear(inner, num_classes)
        self.samples, self.output_dim = samples, num_classes

    def forward(self, pooled: Tensor) -> HeadOutput:
        normed = self.norm(pooled)
        if self.samples == 1 or not self.training:
            return HeadOutput(logits=self._logits(normed))
        each = torch.stack([self._logits(normed) for _ in range(self.samples)], dim=1)
        return HeadOutput(logits=each[:, 0], each=each)

    def _logits(self, normed: Tensor) -> Tensor:
        return self.classify(self.inner(self.dropout(normed)))


class SideBySide(nn.Module):
    """A linear map for each part of the pooled vector; the prediction is the mean of their probabilities, as logits [B, C].

    Each part is trained for itself: the loss is the mean of theirs. ``widths``: of the parts, relative to each other.
    Raises ValueError: the vector cannot be cut so. 3rd of the WeChat final (``SharedFusions``)."""

    def __init__(self, input_dim: int, num_classes: int, widths: Sequence[int] = (1, 2, 2), dropout: float = 0.0):
        super().__init__()
        unit, rest = divmod(input_dim, sum(widths))
        if rest:
            raise ValueError(f"SideBySide: {input_dim} numbers cannot be cut into parts of widths {list(widths)}")
        self.widths, self.dropout = [unit * width for width in widths], nn.Dropout(dropout)
        self.classify = nn.ModuleList(nn.Linear(width, num_classes) for width in self.widths)
        self.output_dim = num_classes

    def forward(self, pooled: Tensor) -> HeadOutput:
        parts = self.dropout(pooled).split(self.widths, dim=-1)
        each = torch.stack([classify(part) for classify, part in zip(self.classify, parts, strict=True)], dim=1)
        mean = each.float().log_softmax(dim=-1).logsumexp(dim=1) - math.log(len(parts))
        return HeadOutput(logits=mean, each=each)


class Identity(_AsWide):
    """The pooled vector [B, H] is the embedding already. Used by: AIAC rank 17, first model."""

    def forward(self, pooled: Tensor) -> HeadOutput:
        return HeadOutput(embedding=pooled)


class GatedProjection(nn.Module):
    """A gate on the pooled vector's features, then a linear map to the embedding [B, E], not normalised. Used by: AIAC
    rank 17, second model. ``sides``: parts of a training batch that are normalised apart (see ``SideBatchNorm``)."""

    def __init__(self, input_dim: int, dim: int = 256, sides: PositiveInt = 2):
        super().__init__()
        self.gate = FeatureGate(input_dim, sides)
        self.project = nn.Linear(input_dim, dim)
        self.output_dim = dim

    def forward(self, pooled: Tensor) -> HeadOutput:
        return HeadOutput(embedding=self.project(self.gate(pooled) * pooled))
