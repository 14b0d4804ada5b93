"""A video's category: from its label, from a teacher's answer, the same answer twice whatever dropout does; and vectors in which
videos of one category lie together, for a vote of neighbours (2nd of the WeChat final; the loss is U5)."""

import math
from collections.abc import Sequence
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from pydantic import Field, NonNegativeFloat, PositiveFloat
from torch import Tensor, nn

from lib.data.batch import IGNORE, Batch
from lib.models.sequences import masked_mean
from lib.models.video_model import Outputs, States
from lib.objectives.mix import Objective, needed


class CategoryCE(Objective):
    """Cross entropy of the model's logits [B, C], mean over the videos whose category is known; 0 if none is.

    Raises ValueError: counts are needed and missing. Used by: the WeChat baseline
    (plain) and rank 72 (label smoothing).

    Args:
        focal_gamma: factor (1 - p of the truth)^gamma on each video's loss; 0 is plain cross entropy.
        class_balance: beta, 0.9 to 0.9999, of class-balanced weights (Cui et al. 2019, arXiv:1901.05555): category c counts
            (1 - beta) / (1 - beta^n_c), scaled to sum to the number of categories; None and 0 weigh all alike. A video
            has the weight of its true category, smoothed or not. The loss is the mean over videos, not divided by the
            sum of their weights.
        logit_adjust: tau, what the logits gain of the categories' log share in training before the softmax (Menon et al.
            2021, arXiv:2007.07314), so that the model itself learns to do without them; 0 is off. The same after
            training, with opposite sign, is ``LogitAdjustment``.
        mixup: alpha of Beta(alpha, alpha), from which each batch draws the share a video keeps of its own logits; the
            rest is another video's, and the loss is that share of its own label's and the rest of the other's (Zhang et
            al. 2018, arXiv:1710.09412). Mixing logits is mixing the vectors in front of a linear head. 0 is off; never
            outside training.
        of: whose logits: the model's, or those of a linear head of its own on the mean of one encoder's states, so that the
            encoder learns for itself (multi-task finetuning, 3rd of the WeChat final; weights by a neighbour, U8).
        class_counts: videos per category in the training part, repeats not counted, from the corpus; needed only with
            ``class_balance`` or ``logit_adjust``.
    """

    weight: Tensor | None
    prior: Tensor | None

    def __init__(
        self,
        label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0,
        focal_gamma: NonNegativeFloat = 0.0,
        class_balance: Annotated[float, Field(ge=0, lt=1)] | None = None,
        logit_adjust: float = 0.0,
        mixup: NonNegativeFloat = 0.0,
        of: Literal["head", "text", "frames"] = "head",
        class_counts: Sequence[int] | None = None,
        num_classes: int = 0,
        text_dim: int = 0,
        frames_dim: int = 0,
    ):
        super().__init__()
        if class_counts is None and (class_balance is not None or logit_adjust):
            name = "class_balance" if class_balance is not None else "logit_adjust"
            raise ValueError(f"CategoryCE: {name} needs the class counts of the training data")
        self.label_smoothing, self.focal_gamma, self.mixup, self.of = label_smoothing, focal_gamma, mixup, of
        self.classify = None if of == "head" else nn.Linear({"text": text_dim, "frames": frames_dim}[of], num_classes)
        weight = None if class_balance is None else class_balanced_weights(class_counts, class_balance)
        prior = logit_adjust * log_shares(class_counts) if logit_adjust else None
        # both come from the data, not from training
        self.register_buffer("weight", weight, persistent=False)
        self.register_buffer("prior", prior, persistent=False)

    def forward(self, outputs: Outputs, batch: Batch) -> Tensor:
        target = needed(batch.category, "CategoryCE", "batch.category")
        logits = needed(self._logits(outputs), "CategoryCE", "outputs.logits").float()
        # classifiers side by side each learn for themselves
        if outputs.each is not None and self.training and self.classify is None:
            every = [self._losses(one.float(), target) for one in outputs.each.unbind(1)]
            return self._mean(torch.stack(every).mean(dim=0), target != IGNORE)
        if self.mixup and self.training:
            share = float(torch.distributions.Beta(self.mixup, self.mixup).sample())
            return self.mixed(logits, target, share, torch.randperm(len(target), device=target.device))
        return self._mean(self._losses(logits, target), target != IGNORE)

    def _logits(self, outputs: Outputs) -> Tensor | None:
        if self.classify is None:
            return outputs.logits
        states: States = getattr(outputs, self.of)
        return self.classify(masked_mean(states.hidden, states.mask))

    def mixed(self, logits: Tensor, target: Tensor, share: float, other: Tensor) -> Tensor:
        """The loss where each video is ``share`` itself and the rest the video that ``other`` int64 [B] names."""
        mixed, known = share * logits + (1 - share) * logits[other], (target != IGNORE) & (target[other] != IGNORE)
        own, others = self._losses(mixed, target), self._losses(mixed, target[other])
        return self._mean(share * own + (1 - share) * others, known)

    def _losses(self, logits: Tensor, target: Tensor) -> Tensor:
        """[B]; anything finite where the category is unknown."""
        if self.prior is not None:
            logits = logits + self.prior
        loss = F.cross_entropy(
            logits, target, reduction="none", ignore_index=IGNORE, label_smoothing=self.label_smoothing
        )
        index = target.clamp(min=0)
        if self.focal_gamma != 0:
            # log(1 - p of the truth) from the other categories' logits: finite however certain the model is
            others = logits.scatter(1, index.unsqueeze(1), float("-inf")).logsumexp(dim=-1)
            loss = loss * torch.exp(self.focal_gamma * (others - logits.logsumexp(dim=-1)))
        return loss if self.weight is None else loss * self.weight[index]

    @staticmethod
    def _mean(losses: Tensor, known: Tensor) -> Tensor:
        return (losses * known).sum() / known.sum().clamp(min=1)


class SoftLabels(Objective):
    """KL(teacher || student) over the categories, mean over videos, teacher logits in ``batch.soft`` [B, C].

    Both are divided by the temperature before the softmax and the loss is multiplied by its square, which keeps the
    size of the gradient (Hinton et al. 2015, arXiv:1503.02531). As a task of pretraining on videos without category it
    is the pseudo-label distillation of the first place of the WeChat final (U3).

    Args:
        temperature: above 1 shows more of what the teacher thinks of the other categories.
        hard: share of the loss that is cross entropy with the teacher's first choice instead: 1 is hard labels alone.
    """

    needs_teacher = True

    def __init__(self, temperature: PositiveFloat = 1.0, hard: Annotated[float, Field(ge=0, le=1)] = 0.0):
        super().__init__()
        self.temperature, self.hard = temperature, hard

    def forward(self, outputs: Outputs, batch: Batch) -> Tensor:
        logits = needed(outputs.logits, "SoftLabels", "outputs.logits").float()
        soft = needed(batch.soft, "SoftLabels", "batch.soft").float()
        student = (logits / self.temperature).log_softmax(dim=-1)
        teacher = (soft / self.temperature).log_softmax(dim=-1)
        loss = self.temperature**2 * (teacher.exp() * (teacher - student)).sum() / max(1, len(logits))
        if not self.hard:
            return loss
        first = F.cross_entropy(logits, soft.argmax(dim=1), reduction="sum") / max(1, len(logits))
        return (1 - self.hard) * loss + self.hard * first


class RDrop(Objective):
    """Half the sum of both KL divergences between two passes' probabilities [B, C] with different dropout.

    KL is summed over categories and averaged over all videos, those of unknown category included. The model sees every
    batch twice, and all other terms become means over both passes, so with a cross entropy beside it the loss is (CE1 +
    CE2) / 2 + weight * (KL(p1 | p2) + KL(p2 | p1)) / 2 (Liang et al. 2021, arXiv:2106.14448, up to a factor of two;
    section 2.2 of the WeChat 2022 systems). Its weight is the paper's alpha. Without dropout it is 0 and so is its
    gradient. Used by: WeChat rank 2; the baseline and rank 72, as a question. ``num_classes``: of the corpus. Raises
    ValueError: the corpus or the model has no categories: the cosine of two embeddings is no distribution.
    """

    passes = 2

    def __init__(self, num_classes: int):
        super().__init__()
        if num_classes < 2:
            raise ValueError(
                "RDrop compares probabilities of categories, and this corpus has none (the cosine of embeddings is no "
                "distribution); leave it out"
            )

    def forward(self, outputs: Outputs, batch: Batch) -> Tensor:
        """Of one pass with itself: 0."""
        return self.over([outputs, outputs], batch)

    def over(self, passes: Sequence[Outputs], batch: Batch) -> Tensor:
        if any(outputs.logits is None for outputs in passes):
            raise ValueError("RDrop needs outputs.logits, but the model's head gives embeddings; use a Classifier")
        first, second = (outputs.logits.float().log_softmax(dim=-1) for outputs in passes[:2])  # type: ignore[union-attr]
        # KL(p|q) + KL(q|p) = sum of (p - q)(log p - log q)
        return ((first.exp() - second.exp()) * (first - second)).sum() / (2 * max(1, len(first)))


def class_balanced_weights(counts: Sequence[int] | None, beta: float) -> Tensor:
    """Weights (1 - beta) / (1 - beta^n), scaled to sum to the number of classes; an unseen one counts as seen once."""
    n = torch.as_tensor(counts, dtype=torch.float64).clamp(min=1)
    weight = (1 - beta) / (1 - beta**n)
    return (weight * len(n) / weight.sum()).float()


def log_shares(counts: Sequence[int] | None) -> Tensor:
    """Log of each class' share, float32 [C]; an unseen one counts as seen once."""
    n = torch.as_tensor(counts, dtype=torch.float64).clamp(min=1)
    return (n / n.sum()).log().float()


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
