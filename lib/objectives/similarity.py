"""Fitting the cosine of two videos' embeddings: to a score, to a teacher's cosine, to the nearest typical score."""

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from lib.data.batch import Batch
from lib.models.video_model import Outputs
from lib.objectives.mix import Objective, needed


class CosineRegression(Objective):
    """Mean squared difference of the cosine of each pair [P] and its score [P]; 0 with a graph for P = 0. Raw scores or
    ranks is the data's choice. Used by: AIAC rank 1 (ranks), ranks 6 and 17 (raw scores)."""

    def forward(self, outputs: Outputs, batch: Batch) -> Tensor:
        wanted = "soft" if self.needs_teacher else "score"
        target = needed(getattr(batch, wanted), type(self).__name__, f"batch.{wanted}")
        value = pair_cosine(outputs, batch)
        return F.mse_loss(value, target.float(), reduction="sum") / max(1, len(value))


class SoftSimilarity(CosineRegression):
    """Mean squared difference of the cosine of each pair [P] and the teacher's, ``batch.soft`` [P].

    0.7 label + 0.3 teacher as two terms has the same gradient as one term on the blended label (rank 6's form), and
    shows both. The control of an ablation is a second training with weight 0.0. Used by: AIAC ranks 1 and 6,
    self-distillation.
    """

    needs_teacher = True


def pair_cosine(outputs: Outputs, batch: Batch) -> Tensor:
    """Cosine of the two embeddings of every pair, float32 [P]."""
    embedding = needed(outputs.embedding, "a similarity", "outputs.embedding").float()
    pair = needed(batch.pair, "a similarity", "batch.pair")
    return F.cosine_similarity(embedding[pair[:, 0]], embedding[pair[:, 1]], dim=-1)


class NearestLevel(Objective):
    """Squared distance of the cosines inside a batch, [B, B], to the nearest of a few levels; its gradient is the
    chosen level's.

    ``within_side`` is what the original's code does: of B pairs, sides a and b, sum over both sides of 0.5 / B^2 * sum
    over i != j of (a_i a_j - nearest)^2, labels or not. ``all`` is what its description says: the mean over all ordered
    pairs of the batch's 2B videos, about the same weight; a pair whose score is known (the batch's own, and those in
    ``batch.known``: all training pairs, looked up for the batch's videos) is pulled to that score, and two copies of
    one video are left out. Used by: AIAC rank 17, finetuning (within_side, beside ``CosineRegression``). Raises
    ValueError: no level.
    """

    def __init__(self, scope: Literal["all", "within_side"] = "all", levels: Sequence[float] = (0.0, 0.5, 1.0)):
        super().__init__()
        if not levels:
            raise ValueError("NearestLevel: give at least one level, for example 0.0, 0.5 and 1.0")
        self.scope, self.levels = scope, tuple(float(level) for level in levels)
        self.needs_known = scope == "all"

    def forward(self, outputs: Outputs, batch: Batch) -> Tensor:
        unit = F.normalize(needed(outputs.embedding, "NearestLevel", "outputs.embedding").float(), dim=-1)
        pair = needed(batch.pair, "NearestLevel", "batch.pair")
        if self.scope == "within_side":
            return within_side(unit[pair[:, 0]], self.levels) + within_side(unit[pair[:, 1]], self.levels)
        cosine, same = unit @ unit.T, batch.rows[:, None] == batch.rows[None, :]
        score = _known_scores(batch, same).to(cosine.dtype)
        target = torch.where(score.isnan(), nearest_level(cosine.detach(), self.levels), score)
        return ((cosine - target).square() * ~same).sum() / (~same).sum().clamp(min=1)


def within_side(unit: Tensor, levels: Sequence[float]) -> Tensor:
    """0.5 / B^2 * sum over i != j of (u_i u_j - nearest level)^2 for unit vectors [B, E]; 0 with a graph for B = 0."""
    cosine = unit @ unit.T
    apart = ~torch.eye(len(unit), dtype=torch.bool, device=unit.device)
    error = (cosine - nearest_level(cosine.detach(), levels)) * apart
    return 0.5 * error.square().sum() / max(1, len(unit) ** 2)


def nearest_level(cosine: Tensor, levels: Sequence[float]) -> Tensor:
    """For every number the level next to it; half way the lower index wins."""
    choices = torch.tensor(levels, dtype=cosine.dtype, device=cosine.device)
    return choices[(cosine.unsqueeze(-1) - choices).abs().argmin(dim=-1)]


def _known_scores(batch: Batch, same: Tensor) -> Tensor:
    """[V, V]: the batch's own scores, then those of ``batch.known``, NaN elsewhere; they hold for every copy of a video."""
    table = torch.full(same.shape, float("nan"), device=same.device)
    if batch.pair is not None and batch.score is not None:
        first = same.int().argmax(dim=1)  # a video's first place stands for all its places
        left, right = first[batch.pair[:, 0]], first[batch.pair[:, 1]]
        table[left, right] = batch.score.float()
        table[right, left] = batch.score.float()
        table = table[first][:, first]
    return table if batch.known is None else torch.where(table.isnan(), batch.known.float(), table)
