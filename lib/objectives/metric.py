"""Vectors in which videos of one category lie together, for a vote of neighbours (2nd of the WeChat final; the loss is U5)."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lib.data.batch import IGNORE, Batch
from lib.models.video_model import Outputs
from lib.objectives.mix import Objective, needed


class _Metric(Objective):
    """Compares the pooled vectors [B, H] of videos whose category is known."""

    def known(self, outputs: Outputs, batch: Batch) -> tuple[Tensor, Tensor]:
        """Their unit vectors and categories."""
        category = needed(batch.category, type(self).__name__, "batch.category")
        there = category != IGNORE
        return F.normalize(outputs.pooled[there].float(), dim=-1), category[there]


class ArcFace(_Metric):
    """Softmax over cosines with a vector per category, the own one's angle widened by a margin (Deng et al. 2018,
    arXiv:1801.07698); mean over the videos [B, H] whose category is known. ``margin``: radians; where the angle would pass
    pi, the cosine loses margin * sin(margin) instead."""

    def __init__(self, pooled_dim: int, num_classes: int, scale: float = 30.0, margin: float = 0.3):
        super().__init__()
        self.centres = nn.Parameter(torch.empty(num_classes, pooled_dim))
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
    """Supervised contrast (Khosla et al. 2020, arXiv:2004.11362): of vectors [B, H] those of one category are each other's
    answers; mean over the videos that have one, negatives of the same process."""

    def __init__(self, temperature: float = 0.1):
        super().__init__()
        self.temperature = temperature

    def forward(self, outputs: Outputs, batch: Batch) -> Tensor:
        vectors, category = self.known(outputs, batch)
        itself = torch.eye(len(vectors), dtype=torch.bool, device=vectors.device)
        scores = (vectors @ vectors.T / self.temperature).masked_fill(itself, torch.finfo(vectors.dtype).min)
        alike = (category[:, None] == category) & ~itself
        answers = (alike * scores.log_softmax(dim=1)).sum(dim=1) / alike.sum(dim=1).clamp(min=1)
        return -answers.sum() / alike.any(dim=1).sum().clamp(min=1)
