"""Batch: what a model receives. One class for both tracks; a pair batch is one batch of videos plus a pair index."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

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


Sees = Literal["both", "text", "frames"]


class View(NamedTuple):
    """What an objective lets the model see besides the corrupted batch; the model is not shown the side that is left out.

    Views are equal, and run once, if they are the same tensors seen in the same way; another ``draw`` keeps them apart, for
    passes that differ in dropout alone.
    """

    batch: "Batch"
    sees: Sees = "both"
    draw: int = 0

    def key(self) -> tuple[Any, ...]:
        """Equal for equal views."""
        read = {"text": TEXT, "frames": FRAMES, "both": (*TEXT, *FRAMES)}[self.sees]
        return (self.sees, self.draw, *(id(getattr(self.batch, name)) for name in read))


TEXT, FRAMES = ("input_ids", "text_mask", "token_types"), ("frames", "frame_mask", "pictures")  # what a model reads


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
    negatives: Tensor | None = None  # float32 [2, B], uniform: draws of each text's and each video's hard negative
    field: Tensor | None = None  # int8 [B, T]: which field of the layout a token is of, -1 special; packed layout only
    views: dict[str, dict[str, View | None]] | None = None  # objective -> name -> view; None is the batch itself
    places: dict[int, Tensor] | None = None  # id of an objective -> int64 [1 or 2, M]: videos and positions it guesses
    own: "Batch | None" = None  # where processes share the batch, what a model reads of this one's videos

    def __len__(self) -> int:
        return self.rows.shape[0]

    @property
    def samples(self) -> int:
        """Training examples in the batch: pairs if there are pairs, else videos."""
        return self.pair.shape[0] if self.pair is not None else len(self)

    def to(self, device: torch.device | str) -> "Batch":
        return self._map(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> "Batch":
        return self._map(lambda tensor: tensor.pin_memory())

    def replace(self, **changes: Any) -> "Batch":
        """A copy with some fields exchanged; objectives use it so that the loader's tensors are never edited in place."""
        return dataclasses.replace(self, **changes)

    def of_frames(self) -> dict[str, Tensor]:
        """Every tensor that has a video's frames along its second dimension, those that are there."""
        names = (*FRAMES, "frame_selected", "clean_frames")
        return {name: value for name in names if (value := getattr(self, name)) is not None}

    def only(self, sees: Sees) -> "Batch":
        """The batch with one side left out: a single padded slot is there in its place."""
        if sees == "both":
            return self
        if sees == "frames":
            one = {name: getattr(self, name)[:, :1] for name in TEXT}
            return self.replace(**one | {"text_mask": torch.zeros_like(self.text_mask[:, :1])})
        left = {name: value for name, value in self.of_frames().items() if name in FRAMES}
        return self.replace(**{name: torch.zeros_like(value[:, :1]) for name, value in left.items()})

    def keep_tokens(self, keep: Tensor) -> "Batch":
        """The batch with these tokens alone, bool [B, T], moved together, so that the sequence is as short as it can be."""
        keep = keep & self.text_mask
        order = torch.argsort(~keep, dim=1, stable=True)[:, : max(1, int(keep.sum(dim=1).max()))]
        kept = {name: getattr(self, name) for name in (*TEXT, "token_labels", "field")}
        kept = {name: value.gather(1, order) for name, value in kept.items() if value is not None}
        mask = kept["text_mask"] = keep.gather(1, order)
        for name, empty in (("token_labels", IGNORE), ("field", -1)):
            if name in kept:
                kept[name] = kept[name].masked_fill(~mask, empty)
        return self.replace(**kept)

    def share(self, process: int, processes: int) -> "Batch":
        """The batch with ``own``, every n-th video from this process's number on, and without frames and pictures, which
        no other process needs. Raises ValueError: the shares would not be equal."""
        if processes == 1:
            return self
        if self.samples % processes:
            raise ValueError(
                f"a batch of {self.samples} can't be shared equally by {processes} processes; choose a number of processes, or "
                f"data.batch_size, that goes into it"
            )
        parts: dict[int, Any] = {}

        def mine(value: Tensor) -> Tensor:
            return parts.setdefault(id(value), value[process::processes])

        def shared(view: View | None) -> View | None:
            if view is not None and id(view) not in parts:
                parts[id(view)] = view._replace(batch=view.batch._shared(mine))
            return view and parts[id(view)]

        views = self.views and {
            name: {label: shared(view) for label, view in own.items()} for name, own in self.views.items()
        }
        return self._shared(mine).replace(views=views)

    def _shared(self, mine: Callable[[Tensor], Tensor]) -> "Batch":
        read = {name: value for name in ("rows", *TEXT, *FRAMES) if (value := getattr(self, name)) is not None}
        given: dict[str, Any] = {name: mine(value) for name, value in read.items()}
        own = Batch(**given)
        if self.pair is not None:
            own.pair = torch.arange(len(own)).view(2, -1).T
        return self.replace(own=own, frames=self.frames[:, :, :0], pictures=None)

    def _map(self, function: Callable[[Tensor], Tensor], done: dict[int, Any] | None = None) -> "Batch":
        """Applied once to what several views share, so that they still share it."""
        known = {} if done is None else done

        def mapped(value: Any) -> Any:
            if value is None or isinstance(value, dict):
                return value and {name: mapped(inner) for name, inner in value.items()}
            if id(value) not in known:
                if isinstance(value, View):
                    known[id(value)] = value._replace(batch=value.batch._map(function, known))
                else:
                    known[id(value)] = value._map(function, known) if isinstance(value, Batch) else function(value)
            return known[id(value)]

        return self.replace(**{name: mapped(value) for name, value in vars(self).items()})
