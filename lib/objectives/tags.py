"""Predicting a video's tags: one sigmoid per tag of the vocabulary."""

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import torch
import torch.nn.functional as F
from pydantic import Field, NonNegativeFloat
from torch import Tensor, nn

from lib.data.batch import IGNORE, Batch
from lib.models.video_model import Outputs
from lib.objectives.mix import Objective, needed


class TagHead(nn.Module):
    """A linear map from one of the model's vectors to the tags: [B, H] -> [B, K].

    cls: the first text token's state after fusion; pooled; embedding, not normalised; text, frames: the encoder's own
    pooled vector, so that an encoder learns for itself. Raises ValueError: no tags.

    Args:
        widths: H of each input.
        prior: probability that every tag starts with, by the bias (Lin et al. 2017, arXiv:1708.02002, section 3.3); None:
            a bias near zero, one half.
    """

    def __init__(self, num_tags: int, widths: Mapping[str, int], input: str, activation: str, prior: float | None):
        super().__init__()
        if num_tags < 1:
            raise ValueError("the corpus has no tags to predict")
        self.input, self.activation = input, activation
        self.classify = nn.Linear(widths[input], num_tags)
        if prior is not None:
            nn.init.constant_(self.classify.bias, math.log(prior / (1 - prior)))

    def forward(self, outputs: Outputs) -> Tensor:
        """Logits [B, K] in float32."""
        if self.input == "cls":
            x = outputs.joint.hidden.index_select(1, outputs.text_index[:1]).squeeze(1)
        else:
            found = getattr(outputs, self.input)
            x = getattr(found, "pooled", None) if self.input in ("text", "frames") else found
            x = needed(x, f"a tag head on {self.input}", f"the model's {self.input} vector")
        return self.classify(torch.relu(x) if self.activation == "relu" else x).float()


class TagBCE(Objective):
    """Mean binary cross entropy over all known entries of the multi-hot matrix [B, K].

    Entries of -100 (videos whose tags are unknown) are left out before the mean; if nothing is known the loss is 0.
    Used by: AIAC rank 1, pretraining.

    Args:
        input: cls (jobs 1, 4, 5, 6), embedding, not normalised (jobs 2, 3), pooled, text or frames.
        reference_tags: number of tags that the recipe's weight is made for. A mean over K tags of which each video has
            a few shrinks like 1/K, so with another vocabulary the term is scaled by K / reference_tags to keep its
            pull. None: no scaling.
        prior: see ``TagHead``; the published systems have none.
    """

    judged = "tags"

    def __init__(
        self,
        num_tags: int,
        widths: Mapping[str, int],
        *,
        input: Literal["cls", "pooled", "embedding", "text", "frames"] = "cls",
        activation: Literal["relu", "none"] = "relu",
        reference_tags: int | None = None,
        prior: Annotated[float, Field(gt=0, lt=1)] | None = None,
    ):
        super().__init__()
        self.head = TagHead(num_tags, widths, input, activation, prior)
        self.scale = 1.0 if reference_tags is None else num_tags / reference_tags

    def forward(self, outputs: Outputs, batch: Batch) -> Tensor:
        target = needed(batch.tags, "TagBCE", "batch.tags")
        loss = F.binary_cross_entropy_with_logits(self.head(outputs), target.clamp(min=0), reduction="none")
        known = target != IGNORE
        return self.scale * (loss * known).sum() / known.sum().clamp(min=1)


class TagFocal(TagBCE):
    """Sigmoid focal loss over tags [B, K] (Lin et al. 2017, arXiv:1708.02002): easy ones weigh (1 - p of the truth)^gamma.

    gamma 0 without alpha is ``TagBCE``. Used by: AIAC rank 6 (alpha 0.99, mean, scale 100) and rank 17 (alpha 10/11,
    sum over tags and videos, scale 0.011), pretraining.

    Args:
        num_tags, widths, head: as for ``TagBCE``.
        alpha: weight of positive entries, 1 - alpha for negative ones; None weighs neither.
        reduction: mean over known entries; their sum, which grows with the batch (quirk C7-9); or video: summed over
            tags, mean over videos.
        clamp: the logarithm takes the probability of the truth no nearer to 0 and 1 than this, so that entries beyond
            pull only through the factor (1 - p)^gamma. Rank 6 has 1e-4; 0 does not clamp.
    """

    def __init__(
        self,
        num_tags: int,
        widths: Mapping[str, int],
        *,
        gamma: NonNegativeFloat = 2.0,
        alpha: Annotated[float, Field(ge=0, le=1)] | None = None,
        reduction: Literal["mean", "sum", "video"] = "mean",
        scale: float = 1.0,
        clamp: Annotated[float, Field(ge=0, lt=0.5)] = 0.0,
        **head: Any,
    ):
        super().__init__(num_tags, widths, **head)
        self.gamma, self.alpha, self.reduction, self.clamp = gamma, alpha, reduction, clamp
        self.scale *= scale

    def forward(self, outputs: Outputs, batch: Batch) -> Tensor:
        target = needed(batch.tags, "TagFocal", "batch.tags")
        known = target != IGNORE
        loss = focal_with_logits(self.head(outputs), target.clamp(min=0), self.gamma, self.alpha, self.clamp)
        total = (loss * known).sum()
        parts = {"sum": 1, "mean": known.sum().clamp(min=1), "video": known.any(dim=1).sum().clamp(min=1)}
        return self.scale * total / parts[self.reduction]


def focal_with_logits(logits: Tensor, target: Tensor, gamma: float, alpha: float | None, clamp: float = 0.0) -> Tensor:
    """Elementwise focal loss of targets 0 and 1; torchvision's ``sigmoid_focal_loss`` without its two seconds of
    import, and in a third of its passes over [B, K], which on a CPU are most of a tag loss."""
    return _Focal.apply(logits, target, gamma, alpha, clamp)


class _Focal(torch.autograd.Function):
    """With u = logit of being wrong and s = sigmoid(u): loss = w * softplus(u) * s^gamma, and d loss / du = w * s^gamma
    * (s + gamma * softplus(u) * (1 - s)); the s in brackets is 0 where softplus is clamped. Nothing is divided and no
    logarithm is taken of a probability, so all is finite where p is 0 or 1."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, target: Tensor, gamma: float, alpha: float | None, clamp: float) -> Tensor:
        sign = torch.mul(target, -2).add_(1)
        wrong = torch.mul(logits, sign)
        share, loss = torch.sigmoid(wrong), F.softplus(wrong)
        slope = share.clone()
        if clamp > 0:
            low, high = -math.log1p(-clamp), -math.log(clamp)
            slope.masked_fill_((loss < low) | (loss > high), 0)
            loss.clamp_(low, high)
        if gamma != 0:
            slope.addcmul_(loss, 1 - share, value=gamma)
            share.pow_(gamma)
            loss.mul_(share)
            slope.mul_(share)
        if alpha is not None:
            weight = torch.mul(target, 2 * alpha - 1).add_(1 - alpha)
            loss.mul_(weight)
            slope.mul_(weight)
        ctx.save_for_backward(slope.mul_(sign))
        return loss

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None, None]:
        (slope,) = ctx.saved_tensors
        return grads[0] * slope, None, None, None, None
