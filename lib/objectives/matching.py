"""Does this video belong to this text? Frames are exchanged between the videos of a batch."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lib.data.batch import Batch
from lib.models.bert import init_like_bert, init_std
from lib.models.video_model import Outputs
from lib.objectives.mix import Objective, needed


class VideoTextMatching(Objective):
    """Binary cross entropy of one logit [B] of the pooled vector [B, H]: are frames and text of one video?

    About half of the batch gets the frames of another video; ``batch.matched`` says which kept their own. Labels stay
    with the text. Objectives on tokens can leave the mismatched out (``MaskedTokens``), which needs no order of terms.
    Used by: WeChat rank 72, pretraining (``reversed_half``).

    Args:
        kind: derangement draws half of the videos anew in each batch and hands their frames on in a random circle, so
            that each of them gets another's. reversed_half turns round the order of the second half, the same in each
            batch; the middle one of an odd half keeps its frames and is called matched (quirk R7).
        frame_mask: move exchanges the mask with the frames. ignore attends to every slot of every video, padding too, as
            the original does (R6); it wants frames padded to their full number, or the result depends on the batch.
        threshold: logit from which ``accuracy`` counts a pair as matched; the original says 0.5 (R8).
    """

    def __init__(
        self,
        pooled_dim: int,
        kind: Literal["derangement", "reversed_half"] = "derangement",
        frame_mask: Literal["move", "ignore"] = "move",
        threshold: float = 0.0,
    ):
        super().__init__()
        self.classify = nn.Linear(pooled_dim, 1)
        init_like_bert(self.classify, init_std(pooled_dim))
        self.kind, self.frame_mask, self.threshold = kind, frame_mask, threshold

    def corrupt(self, batch: Batch, generator: torch.Generator) -> Batch:
        source = _derangement(len(batch), generator) if self.kind == "derangement" else reversed_half(len(batch))
        moved = {
            name: None if value is None else value[source]
            for name in ("frames", "frame_mask", "frame_selected", "clean_frames", "pictures")
            if (value := getattr(batch, name)) is not None
        }
        if self.frame_mask == "ignore":
            moved["frame_mask"] = torch.ones_like(batch.frame_mask)
        return batch.replace(**moved, matched=(source == torch.arange(len(batch))).float())

    def logits(self, outputs: Outputs) -> Tensor:
        """float32 [B], above 0 where frames and text are more likely of one video."""
        return self.classify(outputs.pooled).squeeze(-1).float()

    def accuracy(self, outputs: Outputs, batch: Batch) -> Tensor:
        """Share of the videos that are called right."""
        matched = needed(batch.matched, "VideoTextMatching", "batch.matched (call corrupt first)")
        return ((self.logits(outputs) > self.threshold) == matched.bool()).float().mean()

    def forward(self, outputs: Outputs, batch: Batch) -> Tensor:
        matched = needed(batch.matched, "VideoTextMatching", "batch.matched (call corrupt first)")
        return F.binary_cross_entropy_with_logits(self.logits(outputs), matched)


def reversed_half(count: int) -> Tensor:
    """Whose frames each video gets: its own in the first half, in the second those of the order turned round.

    >>> reversed_half(5).tolist()
    [0, 1, 4, 3, 2]
    """
    source = torch.arange(count)
    source[count // 2 :] = source[count // 2 :].flip(0)
    return source


def _derangement(count: int, generator: torch.Generator) -> Tensor:
    """Half of the videos, at least two, in a random circle; a video alone keeps its frames."""
    source = torch.arange(count)
    if count > 1:
        chosen = torch.randperm(count, generator=generator)[: max(2, count // 2)]
        source[chosen] = chosen.roll(1)
    return source
