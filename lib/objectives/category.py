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

    Used by: WeChat baseline (plain), ranks 72, 2, 5 (label smoothing 0.1), rank 2 (class-balanced).

    Args:
        label_smoothing: share of the target spread evenly over all categories.
        focal_gamma: factor (1 - p of the truth)^gamma on each video's loss; 0 is plain cross entropy.
        class_balance: beta of class-balanced weights (Cui et al. 2019, arXiv:1901.05555): category c counts
            (1 - beta) / (1 - beta^n_c), scaled to sum to the number of categories; None weighs all alike. The loss is
            the mean over videos, not divided by the sum of their weights.
        class_counts: videos per category in the training data, from the corpus; needed only with ``class_balance``.
    """

    weight: Tensor | None

    def __init__(
        self,
        label_smoothing: float = 0.0,
        focal_gamma: float = 0.0,
        class_balance: float | None = None,
        class_counts: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        if not 0 <= label_smoothing < 1 or focal_gamma < 0:
            raise ValueError(
                f"CategoryCE: label_smoothing must be in [0, 1) and focal_gamma 0 or more, "
                f"got {label_smoothing} and {focal_gamma}"
            )
        if class_balance is not None and class_counts is None:
            raise ValueError("CategoryCE: class_balance needs the class counts of the training data")
        self.label_smoothing, self.focal_gamma = label_smoothing, focal_gamma
        weight = None if class_balance is None else class_balanced_weights(class_counts, class_balance)
        self.register_buffer("weight", weight, persistent=False)  # comes from the data, not from training

    def forward(self, outputs: Outputs, batch: Batch) -> Tensor:
        target = needed(batch.category, "CategoryCE", "batch.category")
        logits = needed(outputs.logits, "CategoryCE", "outputs.logits").float()
        known = target != IGNORE
        loss = F.cross_entropy(
            logits, target, reduction="none", ignore_index=IGNORE, label_smoothing=self.label_smoothing
        )
        index = target.clamp(min=0)
        if self.focal_gamma != 0:
            # log(1 - p of the truth) from the other categories' logits: finite however certain the model is
            others = logits.scatter(1, index.unsqueeze(1), float("-inf")).logsumexp(dim=-1)
            loss = loss * torch.exp(self.focal_gamma * (others - logits.logsumexp(dim=-1)))
        if self.weight is not None:
            loss = loss * self.weight[index]
        return (loss * known).sum() / known.sum().clamp(min=1)


def class_balanced_weights(counts: Sequence[int] | None, beta: float) -> Tensor:
    """Weights (1 - beta) / (1 - beta^n), scaled to sum to the number of classes; an unseen one counts as seen once."""
    n = torch.as_tensor(counts, dtype=torch.float64).clamp(min=1)
    weight = (1 - beta) / (1 - beta**n)
    return (weight * len(n) / weight.sum()).float()
