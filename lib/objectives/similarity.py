"""Fitting the cosine of two videos' embeddings to a target."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from lib.data.batch import Batch
from lib.models.video_model import Outputs
from lib.objectives.mix import Objective, needed

LOSSES = {"mse": F.mse_loss, "mae": F.l1_loss, "huber": F.smooth_l1_loss}


class CosineRegression(Objective):
    """Mean loss between the cosine of each pair and its score; raw scores or ranks is the data's choice.

    Used by: AIAC rank 1 (mse on ranks), ranks 6 and 17 (mse on raw scores).

    Args:
        loss: mse, mae, or huber with its knee at ``delta``.
        delta: from which error on huber grows linearly instead of quadratically.
    """

    def __init__(self, loss: Literal["mse", "mae", "huber"] = "mse", delta: float = 0.1) -> None:
        super().__init__()
        self.loss, self.delta = checked_loss(loss), delta

    def forward(self, outputs: Outputs, batch: Batch) -> Tensor:
        return regression(
            pair_cosine(outputs, batch), needed(batch.score, "CosineRegression", "batch.score"), self.loss, self.delta
        )


def pair_cosine(outputs: Outputs, batch: Batch) -> Tensor:
    """Cosine of the two embeddings of every pair, float32 [P]."""
    embedding = needed(outputs.embedding, "a similarity", "outputs.embedding").float()
    pair = needed(batch.pair, "a similarity", "batch.pair")
    return F.cosine_similarity(embedding[pair[:, 0]], embedding[pair[:, 1]], dim=-1)


def regression(value: Tensor, target: Tensor, loss: str, delta: float = 0.1) -> Tensor:
    """Mean loss over P values; 0 with a graph for P = 0.

    huber is 0.5 d² within ``delta`` and delta·(|d| - delta/2) beyond, divided by delta: its slope is at most 1, as
    mae's.
    """
    options = {"beta": delta} if loss == "huber" else {}
    return LOSSES[loss](value, target.float(), reduction="sum", **options) / max(1, len(value))


def checked_loss(loss: str) -> str:
    """The name, or an error that lists the choices."""
    if loss not in LOSSES:
        raise ValueError(f"loss must be one of {', '.join(LOSSES)}, got {loss!r}")
    return loss
