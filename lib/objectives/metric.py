"""Vectors in which videos of one category lie together, for a vote of neighbours (2nd of the WeChat final; the loss is U5)."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lib.data.batch import IGNORE, Batch
from lib.models.video_model import Outputs
from lib.objectives.mix import Objective, needed


class _Metric(Objective):
    """Of the pooled vectors [B, H], mapped to ``dim`` numbers or, None, as they are: unit vectors of the known categories."""

    def __init__(self, pooled_dim: int, dim: int | None):
        super().__init__()
        self.project = nn.Identity() if dim is None else nn.Linear(pooled_dim, dim)

    def known(self, outputs: Outputs, batch: Batch) -> tuple[Tensor, Tensor]:
        category = needed(batch.category, type(self).__name__, "batch.category")
        there = category != IGNORE
        return F.normalize(self.project(outputs.pooled[there]).float(), dim=-1), category[there]


class ArcFace(_Metric):
    """Softmax over cosines with a vector per category, the own one's angle widened by a margin (Deng et al. 2018,
    arXiv:1801.07698); vectors [B, E], mean over the videos whose category is known.

    Args:
        dim: E, by a linear map of the pooled vector; None compares the pooled vector itself.
        margin: radians; where the angle would pass pi, the cosine loses margin * sin(margin) instead.
    """

    def __init__(
        self, pooled_dim: int, num_classes: int, dim: int | None = None, scale: float = 30.0, margin: float = 0.3
    ):
        super().__init__(pooled_dim, dim)
        self.centres = nn.Parameter(torch.empty(num_classes, pooled_dim if dim is None else dim))
        nn.init.xavier_normal_(self.centres)
        self.scale, self.margin = scale, margin

    def forward(self, outputs: Outputs, batch: Batch) -> Tensor:
        vectors, category = self.known(outputs, batch)
        cosine = vectors @ F.normalize(self.centres.float(), dim=-1).T
        own = cosine.gather(1, category[:, None])
        sine = (1 - own.square()).clamp(min=1e-12).sqrt()
        wider = own * math.cos(self.margin) - sine * math.sin(self.margin)
        wider = torch.where(own >= -math.cos(self.margin), wider, own - self.margin * math.sin(self.margin))
        logits = self.scale * cosine.scatter(1, category[:, None], wider)
        return F.cross_entropy(logits, category, reduction="sum") / max(1, len(category))


class SupCon(_Metric):
    """Supervised contrast (Khosla et al. 2020, arXiv:2004.11362): of vectors [B, E] those of one category are each other's
    answers; mean over the videos that have one, negatives of the same process.

    Args:
        dim: E, by a linear map of the pooled vector; None compares the pooled vector itself.
    """

    def __init__(self, pooled_dim: int, dim: int | None = None, temperature: float = 0.1):
        super().__init__(pooled_dim, dim)
        self.temperature = temperature

    def forward(self, outputs: Outputs, batch: Batch) -> Tensor:
        vectors, category = self.known(outputs, batch)
        itself = torch.eye(len(vectors), dtype=torch.bool, device=vectors.device)
        scores = (vectors @ vectors.T / self.temperature).masked_fill(itself, torch.finfo(vectors.dtype).min)
        alike = (category[:, None] == category) & ~itself
        answers = (alike * scores.log_softmax(dim=1)).sum(dim=1) / alike.sum(dim=1).clamp(min=1)
        return -answers.sum() / alike.any(dim=1).sum().clamp(min=1)
