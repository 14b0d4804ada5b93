"""Learning from another model's answers."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from lib.data.batch import Batch
from lib.models.video_model import Outputs
from lib.objectives.mix import Objective, needed
from lib.objectives.similarity import checked_loss, pair_cosine, regression


class SoftSimilarity(Objective):
    """Mean loss between the cosine of each pair and the teacher's cosine, ``batch.soft``.

    0.7 label + 0.3 teacher as two terms has the same gradient as one term on the blended label (rank 6's form), and
    shows both. The control of an ablation is a second training with weight 0.0. Used by: AIAC rank 6,
    self-distillation.

    Args:
        loss, delta: as for ``CosineRegression``.
    """

    needs_teacher = True

    def __init__(self, loss: Literal["mse", "mae", "huber"] = "mse", delta: float = 0.1) -> None:
        super().__init__()
        self.loss, self.delta = checked_loss(loss), delta

    def forward(self, outputs: Outputs, batch: Batch) -> Tensor:
        return regression(
            pair_cosine(outputs, batch), needed(batch.soft, "SoftSimilarity", "batch.soft"), self.loss, self.delta
        )


class SoftLabels(Objective):
    """KL(teacher || student) over the categories, mean over videos, teacher logits in ``batch.soft`` [B, C].

    Both are divided by the temperature before the softmax and the loss is multiplied by its square, which keeps the
    size of the gradient (Hinton et al. 2015, arXiv:1503.02531). Temperature 1 is the pseudo-label distillation of
    WeChat rank 1.

    Args:
        temperature: above 1 shows more of what the teacher thinks of the other categories.
    """

    needs_teacher = True

    def __init__(self, temperature: float = 1.0) -> None:
        super().__init__()
        if temperature <= 0:
            raise ValueError(f"SoftLabels: temperature must be above 0, got {temperature}")
        self.temperature = temperature

    def forward(self, outputs: Outputs, batch: Batch) -> Tensor:
        logits = needed(outputs.logits, "SoftLabels", "outputs.logits").float()
        teacher = needed(batch.soft, "SoftLabels", "batch.soft").float()
        student = (logits / self.temperature).log_softmax(dim=-1)
        teacher = (teacher / self.temperature).log_softmax(dim=-1)
        return self.temperature**2 * (teacher.exp() * (teacher - student)).sum() / max(1, len(logits))
