"""What is minimised: a weighted sum of named terms, each of which may hide parts of the input first."""

import zlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lib.data.batch import Batch, View
from lib.models.processes import run


class Objective(nn.Module, ABC):
    """One term of the loss. Heads that only this term needs are its own parameters, saved apart from the model.

    ``passes``: how often the model must see the batch for this term, each time with other dropout; 0: its views are enough.
    """

    passes: int = 1
    needs_known: bool = False  # it reads ``batch.known``, which is looked up only where an objective asks for it
    needs_teacher: bool = False  # it learns from ``batch.soft``, so its stage must name a teacher
    judged: str = ""  # kind of problem (``lib.runs.kinds``) whose metric is this very loss: "tags" for losses on tags

    def corrupt(self, batch: Batch, generator: torch.Generator) -> Batch:
        """The batch as the model shall see it, on the CPU; returns a copy, never edits the given tensors."""
        return batch

    def views(self, clean: Batch, batch: Batch, generator: torch.Generator) -> dict[str, View]:
        """What else the model shall see for this term, made of the batch as it was or as all terms have corrupted it."""
        return {}

    def guessed(self, batch: Batch) -> Tensor | None:
        """Which positions of the corrupted batch are guessed, bool [B] or [B, T]; None: the term guesses no positions."""
        return None

    def places(self, batch: Batch) -> Tensor:
        """The positions that are wanted, int64 [1 or 2, M]; found by the mix on the CPU, as a GPU would have to be waited for."""
        found = (batch.places or {}).get(id(self))
        return needed(self.guessed(batch), type(self).__name__, "positions").nonzero().T if found is None else found

    @abstractmethod
    def forward(self, outputs: Any, batch: Batch, /) -> Tensor:
        """Scalar loss in float32; zero with a graph when the batch holds nothing to learn from.

        ``outputs`` is what the model made of the batch (``Outputs``), or, of a term with views, of these: name -> ``Outputs``.
        """

    def over(self, passes: Sequence[Any], batch: Batch) -> Tensor:
        """The term when some other term needs several passes: the mean of its value over them."""
        values = [self(outputs, batch) for outputs in passes]
        return values[0] if len(values) == 1 else torch.stack(values).mean()

    def start(self, model: Any) -> None:
        """Called once, when the model has the weights that its stage starts from."""

    def after_step(self, model: Any) -> None:
        """Called after every optimizer step, for terms with a state of their own (a momentum copy, a queue)."""


class ObjectiveMix(nn.Module):
    """The weighted sum of the terms.

    A term of weight 0.0 is skipped altogether: no corruption, no computation, no draw of random numbers. Each term
    draws from its own stream, made from one draw of the step's generator and the term's name, so switching one term
    off leaves the masks of the others as they were (common random numbers between the arms of an ablation). Raises
    ValueError: a negative weight, or no term above zero.
    """

    def __init__(self, terms: Mapping[str, tuple[Objective, float]]) -> None:
        super().__init__()
        if any(weight < 0 for _, weight in terms.values()):
            raise ValueError(
                f"weights of objectives must not be negative: { {name: weight for name, (_, weight) in terms.items()} }"
            )
        if not any(weight > 0 for _, weight in terms.values()):
            raise ValueError("no objective has a weight above 0, so there is nothing to learn")
        self.terms = nn.ModuleDict({name: objective for name, (objective, _) in terms.items()})
        self.weights = {name: float(weight) for name, (_, weight) in terms.items()}

    def active(self) -> list[tuple[str, Objective]]:
        """Names and objectives of weight above 0, in the recipe's order."""
        return [(name, term) for name, term in self.terms.items() if self.weights[name] > 0]  # type: ignore[misc]

    def corrupt(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Let every active term hide its part and say what else it sees. Takes exactly one draw from ``generator``."""
        step, clean = int(torch.randint(2**62, (), generator=generator)), batch
        streams = {name: torch.Generator().manual_seed(step ^ zlib.crc32(name.encode())) for name, _ in self.active()}
        for name, term in self.active():
            batch = term.corrupt(batch, streams[name])
        views = {name: own for name, term in self.active() if (own := term.views(clean, batch, streams[name]))}
        if places := {id(term): term.places(batch) for _, term in self.active() if term.guessed(batch) is not None}:
            batch = batch.replace(places=places)
        if not views:
            return batch
        first: dict[Any, View | None] = {View(batch).key(): None}
        same = {name: {label: first.setdefault(v.key(), v) for label, v in own.items()} for name, own in views.items()}
        return batch.replace(views=same)

    def forward(self, model: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """One pass through the model for all terms, or as many as the neediest term asks for, and one for each view.
        Returns the weighted total, and each active term before weighting. Raises ValueError: a term's views are missing."""
        views = {name: batch.views.get(name, {}) for name, term in self.active() if not term.passes and batch.views}
        shared = any(view is None for own in views.values() for view in own.values())
        passes = [run(model, batch) for _ in range(max(shared, *(term.passes for _, term in self.active())))]
        ran = {id(None): passes[0]} if passes else {}
        for view in (view for own in views.values() for view in own.values()):
            if view is not None and id(view) not in ran:
                ran[id(view)] = run(model, view.batch, view.sees)
        named = {}
        for name, term in self.active():
            if not term.passes and not views.get(name):
                raise ValueError(f"{name}: what it compares is not there (call corrupt first)")
            seen = {label: ran[id(view)] for label, view in views.get(name, {}).items()}
            named[name] = term.over(passes if term.passes else [seen], batch)
        total = torch.stack([self.weights[name] * value for name, value in named.items()]).sum()
        return total, named

    def start(self, model: nn.Module) -> None:
        for _, term in self.active():
            term.start(model)

    def after_step(self, model: nn.Module) -> None:
        for _, term in self.active():
            term.after_step(model)


def needed(value: Tensor | None, who: str, what: str) -> Tensor:
    """The value, or an error that says which objective misses what."""
    if value is None:
        raise ValueError(
            f"{who} needs {what}, which is not there; the data or the model of this stage does not provide it"
        )
    return value
