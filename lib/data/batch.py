"""Batch: what a model receives. One class for both tracks; a pair batch is one batch of videos plus a pair index."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import torch
from torch import Tensor

IGNORE = -100  # the value torch's cross entropy skips; used for every kind of missing label


@dataclass(frozen=True)
class SpecialIds:
    """Ids of a vocabulary's special tokens; -1 where it has none of that kind."""

    pad: int
    unk: int
    cls: int
    sep: int
    mask: int


@dataclass
class Batch:
    """B videos, their labels, and, after corruption, what was hidden from the model. A similarity batch of P pairs
    holds 2P videos (side 1 first) and ``pair`` says who belongs together, so every model is siamese without knowing
    it."""

    rows: Tensor  # int64 [B], rows of the store
    input_ids: Tensor  # int64 [B, T]
    text_mask: Tensor  # bool [B, T]
    token_types: Tensor  # int64 [B, T]
    frames: Tensor  # float32 [B, F, D]; D = 0 where ``pictures`` are there instead
    frame_mask: Tensor  # bool [B, F]
    tags: Tensor | None = None  # float32 [B, K] multi-hot; rows of unknown tags hold -100
    category: Tensor | None = None  # int64 [B]; -100 unknown
    pair: Tensor | None = None  # int64 [P, 2], positions in this batch
    score: Tensor | None = None  # float32 [P], already transformed as the recipe asks (raw or rank)
    known: Tensor | None = None  # float32 [B, B], scores of all training pairs among the batch's videos; NaN unknown
    soft: Tensor | None = None  # a teacher's targets: float32 [P] cosines or [B, C] logits
    token_labels: Tensor | None = None  # int64 [B, T]; -100 where not selected for prediction
    frame_selected: Tensor | None = None  # bool [B, F]; frames whose input was replaced by zeros
    clean_frames: Tensor | None = None  # float32 [B, F, D]; frames before corruption
    pictures: Tensor | None = None  # uint8 [B, F, 3, S, S]; only where the model encodes them itself
    matched: Tensor | None = None  # float32 [B]; 0 where the frames are another video's

    def __len__(self) -> int:
        return self.rows.shape[0]

    @property
    def samples(self) -> int:
        """Training examples in the batch: pairs if there are pairs, else videos."""
        return self.pair.shape[0] if self.pair is not None else len(self)

    def to(self, device: torch.device | str) -> Batch:
        return self._map(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> Batch:
        return self._map(lambda tensor: tensor.pin_memory())

    def replace(self, **changes: Tensor | None) -> Batch:
        """A copy with some fields exchanged; objectives use it so that the loader's tensors are never edited in place."""
        return dataclasses.replace(self, **changes)

    def _map(self, function) -> Batch:
        return self.replace(**{name: function(value) for name, value in vars(self).items() if value is not None})
