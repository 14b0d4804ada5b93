"""Does this video belong to this text? Frames are exchanged between the videos of a batch."""

from collections.abc import Mapping
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lib.data.batch import Batch, View
from lib.models.bert import init_like_bert, init_std
from lib.models.processes import rejoin
from lib.models.video_model import Outputs
from lib.objectives.mix import Objective, needed


class _Matching(Objective):
    """One logit of the pooled vector [B, H]: do frames and text belong together?"""

    def __init__(self, pooled_dim: int):
        super().__init__()
        self.classify = nn.Linear(pooled_dim, 1)
        init_like_bert(self.classify, init_std(pooled_dim))

    def logits(self, pooled: Tensor) -> Tensor:
        """[N, H] -> float32 [N], above 0 where frames and text are more likely of one video."""
        return self.classify(pooled).squeeze(-1).float()


class VideoTextMatching(_Matching):
    """Binary cross entropy of one logit [B] of the pooled vector [B, H]: are frames and text of one video?

    About half of the batch gets the frames of another video; ``batch.matched`` says which kept their own. Labels stay
    with the text. Objectives on tokens can leave the mismatched out (``MaskedTokens``), which needs no order of terms.
    Used by: WeChat rank 72, pretraining (``reversed_half``).

    Args:
        kind: derangement draws half of the videos anew in each batch and hands their frames on in a random circle, so
            that each of them gets another's. reversed_half turns round the order of the second half, the same in each
            batch; the middle one of an odd half keeps its frames and is called matched (quirk R7). bernoulli exchanges each
            with probability one half, for those of any other video, as the first place of the WeChat final has it.
        frame_mask: move exchanges the mask with the frames. ignore attends to every slot of every video, padding too, as
            the original does (R6); it wants frames padded to their full number, or the result depends on the batch.
        threshold: logit from which ``accuracy`` counts a pair as matched; the original says 0.5 (R8).
    """

    def __init__(
        self,
        pooled_dim: int,
        kind: Literal["derangement", "reversed_half", "bernoulli"] = "derangement",
        frame_mask: Literal["move", "ignore"] = "move",
        threshold: float = 0.0,
    ):
        super().__init__(pooled_dim)
        self.kind, self.frame_mask, self.threshold = kind, frame_mask, threshold

    def corrupt(self, batch: Batch, generator: torch.Generator) -> Batch:
        source = DRAW[self.kind](len(batch), generator)
        moved = {name: value[source] for name, value in batch.of_frames().items()}
        if self.frame_mask == "ignore":
            moved["frame_mask"] = torch.ones_like(batch.frame_mask)
        return batch.replace(**moved, matched=(source == torch.arange(len(batch))).float())

    def accuracy(self, outputs: Outputs, batch: Batch) -> Tensor:
        """Share of the videos that are called right."""
        matched = needed(batch.matched, "VideoTextMatching", "batch.matched (call corrupt first)")
        return ((self.logits(outputs.pooled) > self.threshold) == matched.bool()).float().mean()

    def forward(self, outputs: Outputs, batch: Batch) -> Tensor:
        matched = needed(batch.matched, "VideoTextMatching", "batch.matched (call corrupt first)")
        return F.binary_cross_entropy_with_logits(self.logits(outputs.pooled), matched)


class HardMatching(_Matching):
    """Binary cross entropy of one logit per pair of text and frames [B], mean over 3B pairs: each video's own, each text with
    other frames that resemble it, and all frames with another text (Li et al. 2021, ALBEF, arXiv:2107.07651).

    Negatives are drawn by the softmax of a ``VideoTextAlignment`` (``at: encoders`` or ``fused``), which the stage names
    before this term; nothing else is computed twice but fusion and pooling.
    """

    passes = 0

    def corrupt(self, batch: Batch, generator: torch.Generator) -> Batch:
        return batch.replace(negatives=torch.rand(2, len(batch), generator=generator))

    def views(self, clean: Batch, batch: Batch, generator: torch.Generator) -> dict[str, View]:
        return {"both": View(clean)}

    def forward(self, outputs: Mapping[str, Outputs], batch: Batch, /) -> Tensor:
        own = outputs["both"]
        what = "outputs.similarity: name a VideoTextAlignment with at: encoders before it"
        scores = needed(own.similarity, "HardMatching", what)
        draws = needed(batch.negatives, "HardMatching", "batch.negatives (call corrupt first)")
        return self.pairs(own, hard_negatives(scores, draws[0]), hard_negatives(scores.T, draws[1]))

    def pairs(self, own: Outputs, frames: Tensor, texts: Tensor) -> Tensor:
        """The loss with these negatives, int64 [B]: whose frames each text gets, and whose text all frames."""
        place = torch.arange(len(frames), device=frames.device)
        mixed = rejoin(own, torch.cat([place, texts]), torch.cat([frames, place]))
        logits = self.logits(torch.cat([own.pooled, mixed.pooled]))
        matched = torch.cat([torch.ones_like(place, dtype=torch.bool), frames == place, texts == place])
        return F.binary_cross_entropy_with_logits(logits, matched.float())


def hard_negatives(scores: Tensor, draws: Tensor) -> Tensor:
    """int64 [B]: for each row of scores [B, B] a column other than its own, by their softmax; ``draws`` are uniform [B]."""
    weight = scores.float().softmax(dim=1).fill_diagonal_(0).cumsum(dim=1)
    found = torch.searchsorted(weight, draws[:, None] * weight[:, -1:], right=True).squeeze(1)
    return found.clamp(max=len(scores) - 1)


def bernoulli(count: int, generator: torch.Generator) -> Tensor:
    """Whose frames each video gets: with probability one half another's, uniformly; a video alone keeps its own."""
    moves = torch.rand(count, generator=generator) < 0.5
    step = torch.randint(1, max(2, count), (count,), generator=generator)
    return (torch.arange(count) + torch.where(moves, step, 0)) % count


def reversed_half(count: int, _: torch.Generator | None = None) -> Tensor:
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


DRAW = {"derangement": _derangement, "bernoulli": bernoulli, "reversed_half": reversed_half}
