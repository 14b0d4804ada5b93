"""The five slots of a model and what flows between them.

A text encoder and a frame encoder turn their part of a batch into states, a fusion joins the two, a pooling makes one
vector per video, a head turns it into an embedding (pair track) or logits (category track). Every system of both
competitions is a choice of five modules; nothing here knows which. In front of the frame encoder there may be a sixth, an
image encoder that turns pictures into the frame features which are otherwise stored.
"""

import copy
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from lib.data.batch import Batch, Sees


@dataclass
class States:
    """A sequence of vectors per video, which of them are real, and perhaps one vector for the whole."""

    hidden: Tensor  # [B, L, D]
    mask: Tensor  # bool [B, L]; False where padded
    pooled: Tensor | None = None  # [B, D']
    mask_value: Tensor | None = None  # [B, L], added to attention logits in place of 0 and 1 (quirk B7-5)
    source: Tensor | None = None  # [B, L, ...], what an encoder made its states of, where later parts read it

    def take(self, rows: Tensor) -> "States":
        """Those of some videos."""
        others = (None if x is None else x[rows] for x in (self.pooled, self.mask_value, self.source))
        return States(self.hidden[rows], self.mask[rows], *others)


@dataclass
class Joint(States):
    """States after fusion, and where each text token and each frame went."""

    text_index: Tensor | None = None  # int64 [T], position in ``hidden`` of text token t; -1 if it is no longer there
    frame_index: Tensor | None = None  # int64 [F], the same for frames
    earlier: Tensor | None = None  # [B, L, D], states of an earlier layer, where a pooling reads them
    text: States | None = None  # both sides before fusion, for poolings that read them
    frames: States | None = None
    features: Tensor | None = None  # [B, F, N], the batch's own frames


def from_vector(vector: Tensor) -> Joint:
    """A vector per video [B, D] as states: a sequence of one, which is also the pooled vector."""
    return Joint(vector.unsqueeze(1), torch.ones(len(vector), 1, dtype=torch.bool, device=vector.device), vector)


def pooled_of(who: str, text: States, frames: States, makers: str) -> tuple[Tensor, Tensor]:
    """Both encoders' pooled vectors [B, D]. Raises ValueError: an encoder made none; names those that do."""
    if text.pooled is None or frames.pooled is None:
        raise ValueError(f"{who} joins pooled vectors, but an encoder made none ({makers})")
    return text.pooled, frames.pooled


class HeadOutput(NamedTuple):
    """What a head returns: one of the two, the other None."""

    embedding: Tensor | None = None  # [B, E], not normalised
    logits: Tensor | None = None  # [B, C]
    each: Tensor | None = None  # [B, M, C], logits of M classifiers that train side by side


@dataclass
class Outputs:
    """Everything an objective may look at.

    ``text_index`` and ``frame_index`` say where in ``joint.hidden`` a token or frame is, whatever the layout: with the
    first token in front of the frames they are ``[0, F+1, F+2, ...]`` and ``[1, ..., F]``. A fusion that keeps no
    sequence fills them with -1.
    """

    joint: Joint
    text_index: Tensor  # int64 [T]
    frame_index: Tensor  # int64 [F]
    pooled: Tensor  # [B, H]
    embedding: Tensor | None = None  # [B, E], not normalised
    logits: Tensor | None = None  # [B, C]
    each: Tensor | None = None  # [B, M, C], see ``HeadOutput``
    word_table: Tensor | None = None  # [V, D], the text encoder's word embeddings, for heads that share them
    text: States | None = None  # what the encoders said, before fusion
    frames: States | None = None
    batch: Batch | None = None  # what the model saw; pictures encoded, a side that it does not see left out
    join: Callable[[States, States], "Outputs"] | None = (
        None  # fusion, pooling and head on other states of as many slots
    )
    similarity: Tensor | None = None  # [B, B] text to frames, without gradient, where an objective has compared them


class VideoModel(nn.Module):
    """Text and frames in, one vector per video out.

    Args:
        text, frames: ``module(batch) -> States``.
        fusion: ``module(text states, frame states) -> Joint``.
        pooling: ``module(states) -> [B, H]``.
        head: ``module([B, H]) -> HeadOutput``.
        images: ``module(batch) -> [B, F, D]``, an encoder of the batch's pictures whose vectors the frame encoder sees in
            place of stored features; None where features are stored.

    Each of them has ``output_dim``, the width of what it returns. Used by: every system.
    """

    def __init__(
        self,
        text: nn.Module,
        frames: nn.Module,
        fusion: nn.Module,
        pooling: nn.Module,
        head: nn.Module,
        images: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.text, self.frames, self.fusion = text, frames, fusion
        self.pooling, self.head, self.images = pooling, head, images
        self._still: tuple[str, ...] = ()  # parts that stay in eval mode while the rest trains
        self._precomputed: Mapping[str, Callable[[Batch], States]] = {}

    def freeze(self, names: Sequence[str], mode: Literal["eval", "train"] = "eval") -> None:
        """Exclude parts of the model from training: their parameters need no gradient any more. Used by: AIAC rank 17,
        finetuning. Raises ValueError: a name that is no part of the model.

        Args:
            names: slots (``text``) or dotted parts of them (``text.encoder.layer.0``).
            mode: eval keeps the parts in eval mode whatever ``train()`` says, so that their features have no noise;
                train leaves their dropout active and lets batch statistics move, as the original does (quirk C7-4).
        """
        for name in names:
            found = [parameter for own, parameter in self.named_parameters() if _is_within(own, name)]
            if not found and all(own != name for own, _ in self.named_modules()) or not name:
                raise ValueError(
                    f"freeze: the model has no part {name!r}; slots are "
                    f"{', '.join(own for own, _ in self.named_children())}, and dotted names go deeper (text.embeddings)"
                )
            for parameter in found:
                parameter.requires_grad_(False)
        self._still = tuple(names) if mode == "eval" else ()
        self.train(self.training)

    def with_precomputed(self, precomputed: Mapping[str, Callable[[Batch], States]]) -> "VideoModel":
        """The same parts and weights, but what frozen encoders would say comes from a table: slot -> its stand-in."""
        model = copy.copy(self)
        model._precomputed = dict(precomputed)
        return model

    def train(self, mode: bool = True) -> "VideoModel":
        super().train(mode)
        for own, module in self.named_modules():
            if any(_is_within(own, name) for name in self._still):
                module.training = False
        return self

    def twin(self) -> "VideoModel":
        """A copy of the five slots, without the image encoder: it sees what ``Outputs.batch`` holds."""
        slots = ("text", "frames", "fusion", "pooling", "head")
        return VideoModel(**{slot: copy.deepcopy(getattr(self, slot)) for slot in slots})

    def forward(self, batch: Batch, sees: Sees = "both") -> Outputs:
        """``sees``: text or frames leaves out the other side, so that nothing of it can be known."""
        batch = batch.only(sees)
        if self.images is not None:
            batch = batch.replace(frames=self.images(batch))
        text = self._precomputed.get("text", self.text)(batch)
        frames = self._precomputed.get("frames", self.frames)(batch)
        return self.join(text, frames, batch)

    def join(self, text: States, frames: States, batch: Batch) -> Outputs:
        """Fusion, pooling and head of states that the encoders made of the batch."""
        joint: Joint = self.fusion(text, frames)
        joint.text, joint.frames, joint.features = text, frames, batch.frames
        pooled = self.pooling(joint)
        head: HeadOutput = self.head(pooled)
        text_index, frame_index = joint.text_index, joint.frame_index
        return Outputs(
            joint=joint,
            text_index=_absent(batch.input_ids) if text_index is None else text_index,
            frame_index=_absent(batch.frame_mask) if frame_index is None else frame_index,
            pooled=pooled,
            **head._asdict(),
            word_table=getattr(self.text, "word_table", None),
            text=text,
            frames=frames,
            batch=batch,
            join=functools.partial(self.join, batch=batch),
        )


def _is_within(own: str, name: str) -> bool:
    """Whether a dotted name is the named part or lies in it."""
    return own == name or own.startswith(f"{name}.")


def _absent(like: Tensor) -> Tensor:
    return torch.full((like.shape[1],), -1, dtype=torch.long, device=like.device)


@torch.no_grad()
def encode(encoder: nn.Module, batches: Iterable[Batch], device: torch.device) -> Callable[[Batch], States]:
    """What stands in for an encoder in eval mode: the pooled vectors of all batches' videos, by store row. No module, so no
    part of a model's weights. It raises ValueError for a video that was not among them."""
    rows, pooled = [], []
    for batch in batches:
        rows.append(batch.rows)
        pooled.append(encoder(batch.to(device)).pooled)
    found, order = torch.cat(rows).sort()
    known, vectors = found.to(device), torch.cat(pooled)[order.to(device)]

    def said(batch: Batch) -> States:
        place = torch.searchsorted(known, batch.rows).clamp(max=len(known) - 1)
        if not torch.equal(known[place], batch.rows):
            raise ValueError("a frozen encoder was asked about a video that it had not encoded before training")
        return from_vector(vectors[place])

    return said
