"""Predicting a video's category: one softmax over all categories."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from lib.data.batch import IGNORE, Batch
from lib.models.video_model import Outputs
from lib.objectives.mix import Objective, needed


class CategoryCE(Objective):
    """Cross entropy of the model's logits, mean over the videos whose category is known; 0 if none is.

    Used by: the WeChat baseline (plain) and rank 72 (label smoothing).

    Args:
        label_smoothing: share of the target spread evenly over all categories.
        focal_gamma: factor (1 - p of the truth)^gamma on each video's loss; 0 is plain cross entropy.
        class_balance: beta of class-balanced weights (Cui et al. 2019, arXiv:1901.05555): category c counts
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
        class_counts: videos per category in the training part, repeats not counted, from the corpus; needed only with
            ``class_balance`` or ``logit_adjust``.

    Raises:
        ValueError: a setting out of its range, or counts that are needed and missing.
    """

    weight: Tensor | None
    prior: Tensor | None

    def __init__(
        self,
        label_smoothing: float = 0.0,
        focal_gamma: float = 0.0,
        class_balance: float | None = None,
        logit_adjust: float = 0.0,
        mixup: float = 0.0,
        class_counts: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        if not 0 <= label_smoothing < 1 or focal_gamma < 0:
            raise ValueError(
                f"CategoryCE: label_smoothing must be in [0, 1) and focal_gamma 0 or more, "
                f"got {label_smoothing} and {focal_gamma}"
            )
        if mixup < 0:
            raise ValueError(f"CategoryCE: mixup must be 0 (off) or more, got {mixup}")
        if class_counts is None and (class_balance is not None or logit_adjust):
            name = "class_balance" if class_balance is not None else "logit_adjust"
            raise ValueError(f"CategoryCE: {name} needs the class counts of the training data")
        self.label_smoothing, self.focal_gamma, self.mixup = label_smoothing, focal_gamma, mixup
        weight = None if class_balance is None else class_balanced_weights(class_counts, class_balance)
        prior = logit_adjust * log_shares(class_counts) if logit_adjust else None
        # both come from the data, not from training
        self.register_buffer("weight", weight, persistent=False)
        self.register_buffer("prior", prior, persistent=False)

    def forward(self, outputs: Outputs, batch: Batch) -> Tensor:
        target = needed(batch.category, "CategoryCE", "batch.category")
        logits = needed(outputs.logits, "CategoryCE", "outputs.logits").float()
        if self.mixup and self.training:
            share = float(torch.distributions.Beta(self.mixup, self.mixup).sample())
            return self.mixed(logits, target, share, torch.randperm(len(target), device=target.device))
        return self._mean(self._losses(logits, target), target != IGNORE)

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


def class_balanced_weights(counts: Sequence[int] | None, beta: float) -> Tensor:
    """Weights (1 - beta) / (1 - beta^n), scaled to sum to the number of classes; an unseen one counts as seen once.

    Raises:
        ValueError: beta not in [0, 1).
    """
    if not 0 <= beta < 1:
        raise ValueError(f"CategoryCE: class_balance must be in [0, 1) (0.9 to 0.9999 are usual), got {beta}")
    n = torch.as_tensor(counts, dtype=torch.float64).clamp(min=1)
    weight = (1 - beta) / (1 - beta**n)
    return (weight * len(n) / weight.sum()).float()


def log_shares(counts: Sequence[int] | None) -> Tensor:
    """Log of each class' share, float32 [C]; an unseen one counts as seen once."""
    n = torch.as_tensor(counts, dtype=torch.float64).clamp(min=1)
    return (n / n.sum()).log().float()
