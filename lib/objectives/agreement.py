"""Two answers to the same question should agree: dropout as a source of noise to be robust against."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from lib.data.batch import Batch
from lib.models.video_model import Outputs
from lib.objectives.mix import Objective


class RDrop(Objective):
    """Half the sum of both KL divergences between the categories' probabilities of two passes with different dropout.

    KL is summed over categories and averaged over all videos, those of unknown category included. The model sees every
    batch twice, and all other terms become means over both passes, so with a cross entropy beside it the loss is
    (CE1 + CE2) / 2 + weight * (KL(p1 | p2) + KL(p2 | p1)) / 2 (Liang et al. 2021, arXiv:2106.14448, up to a factor of two;
    section 2.2 of the WeChat 2022 systems). Its weight is the paper's alpha. Without dropout it is 0 and so is its
    gradient. Used by: the WeChat baseline, as a question.

    Args:
        num_classes: of the corpus.

    Raises:
        ValueError: the corpus or the model has no categories: the cosine of two embeddings is no distribution.
    """

    passes = 2

    def __init__(self, num_classes: int) -> None:
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
