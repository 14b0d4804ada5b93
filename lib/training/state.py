"""What a run has got to: everything that steps change, as one thing to save, to put back and to go on from."""

import copy
import math
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from lib.training.averaging import Averaging, soup
from lib.training.checkpoint import Checkpointer
from lib.training.divergence import Rewind
from lib.training.schedule import Schedule


@dataclass
class Best:
    """The best scores so far, ``most`` of them, and the weights that earned them. Ties go to the later step, as published
    (AIAC rank 1, A4)."""

    higher_is_better: bool
    keep_weights: bool
    most: int = 1
    kept: dict[int, float] = field(default_factory=dict)  # step -> score, the best first
    weights_at: dict[int, dict[str, Tensor]] = field(default_factory=dict)  # by step, in main memory

    @property
    def step(self) -> int:
        return next(iter(self.kept), 0)

    @property
    def score(self) -> float | None:
        return self.kept.get(self.step)

    @property
    def weights(self) -> dict[str, Tensor] | None:
        """The best weights, or the mean of the best few."""
        members = list(self.weights_at.values())
        return (members[0] if len(members) == 1 else soup(members)) if members else None

    def offer(self, step: int, score: float, weights: Callable[[], dict[str, Tensor]]) -> None:
        """Take the weights if the score is at least as good as any before; a score that is not finite never is."""
        if not math.isfinite(score):
            return
        sign = 1 if self.higher_is_better else -1
        ranked = sorted({**self.kept, step: score}.items(), key=lambda kept: (sign * kept[1], kept[0]), reverse=True)
        self.kept = dict(ranked[: self.most])
        if self.keep_weights:
            held = {**self.weights_at, step: weights()} if step in self.kept else self.weights_at
            self.weights_at = {kept: held[kept] for kept in self.kept}


@dataclass
class TrainState:
    """Everything that a step changes. Random draws are no part of it: they depend on the seed and the step's number
    alone. ``seconds`` are those spent training, without evaluation and checkpoints, over all restarts; ``samples``
    those seen by all processes; ``unlogged`` holds the numbers of each step since the last row of the history."""

    task: nn.Module
    optimizer: torch.optim.Optimizer
    schedule: Schedule
    best: Best
    averaging: Averaging | None = None
    rewind: Rewind | None = None
    step: int = 0
    samples: int = 0
    seconds: float = 0.0
    unlogged: list[dict[str, Any]] = field(default_factory=list)

    def learned(self) -> dict[str, Any]:
        """What an update changes: weights of model and objectives, optimizer moments, the running average. Live tensors."""
        averaging = None if self.averaging is None else self.averaging.state_dict()
        return {"task": self.task.state_dict(), "optimizer": self.optimizer.state_dict(), "averaging": averaging}

    def load_learned(self, learned: Mapping[str, Any]) -> None:
        self.task.load_state_dict(learned["task"])
        # an optimizer takes the tensors it is given and writes into them, which would spoil a copy that is kept
        self.optimizer.load_state_dict(copy.deepcopy(learned["optimizer"]))
        if self.averaging is not None:
            self.averaging.load_state_dict(learned["averaging"])

    def averaged(self) -> AbstractContextManager[None]:
        """Inside, the task holds the weights that are evaluated and exported: the average where there is one."""
        return nullcontext() if self.averaging is None else self.averaging.applied()

    def weights(self) -> dict[str, Tensor]:
        """A copy, in main memory, of what the task holds now."""
        return {name: tensor.detach().to("cpu", copy=True) for name, tensor in self.task.state_dict().items()}

    def parts(self) -> dict[str, Any]:
        """For a checkpoint. The best weights and the rewind's snapshot are parts of their own: heavy, and seldom new."""
        rewind = self.rewind
        live = {
            "step": self.step,
            "samples": self.samples,
            "seconds": self.seconds,
            "learned": self.learned(),
            "schedule": self.schedule.state_dict(),
            "rewind": None if rewind is None else rewind.state_dict(),
            "unlogged": self.unlogged,
            "best": list(self.best.kept.items()),
        }
        return {
            "live": live,
            "best": self.best.weights_at or None,
            "snapshot": None if rewind is None else rewind.snapshot,
        }

    def load_parts(
        self, live: Mapping[str, Any], best: dict[int, dict[str, Tensor]] | None, snapshot: dict | None
    ) -> None:
        self.step, self.samples, self.seconds = live["step"], live["samples"], live["seconds"]
        self.unlogged = live["unlogged"]
        self.load_learned(live["learned"])
        self.schedule.load_state_dict(live["schedule"])
        if self.rewind is not None:
            self.rewind.load_state_dict(live["rewind"])
            self.rewind.snapshot = snapshot
        self.best.kept, self.best.weights_at = dict(live["best"]), best or {}

    def made_at(self) -> dict[str, int | None]:
        """Steps at which the heavy parts were made: equal steps, equal parts."""
        snapshot = None if self.rewind is None else self.rewind.snapshot
        return {"best": max(self.best.kept, default=0), "snapshot": None if snapshot is None else snapshot["step"]}


class Resume:
    """When and what a run saves, and how it takes up its work again: bit for bit where it was. ``every``, ``minutes``: as
    the trainer's ``Settings`` have them; without a ``checkpoint`` nothing is saved."""

    def __init__(self, checkpoint: Checkpointer | None, every: int, minutes: float = 0):
        self.checkpoint, self.every, self.minutes = checkpoint, every, minutes
        self._made_at: dict[str, int | None] = {}  # of the parts in the newest checkpoint
        self._cost = 0.0  # seconds that the newest checkpoint took
        self._saved = time.monotonic()

    def due(self, step: int, *, last: bool, evaluated: bool) -> bool:
        if self.checkpoint is None:
            return False
        if self.every:
            return last or evaluated or step % self.every == 0
        return last or time.monotonic() - self._saved > (60 * self.minutes or max(5.0, 20 * self._cost))

    def save(self, state: TrainState, position: dict[str, Any]) -> None:
        """``position``: the loader's, behind the batches of the newest step."""
        if self.checkpoint is None:
            return
        began = time.monotonic()
        parts, made_at = state.parts(), state.made_at()
        parts["live"]["loader"] = position
        unchanged = [name for name, step in made_at.items() if step == self._made_at.get(name, -1)]
        self.checkpoint.save(state.step, {n: part for n, part in parts.items() if n not in unchanged}, unchanged)
        self._made_at, self._saved = made_at, time.monotonic()
        self._cost = self._saved - began

    def restore(self, state: TrainState, loader: Any, device: torch.device) -> None:
        """Put state and loader where the newest checkpoint was made; nothing if there is none."""
        if self.checkpoint is None or self.checkpoint.step() is None:
            return
        where = "cpu" if device.type == "cpu" else device  # one of several processes on a CPU calls it cpu:0
        live, snapshot = self.checkpoint.load("live", where), self.checkpoint.load("snapshot", where)
        state.load_parts(live, self.checkpoint.load("best"), snapshot)
        loader.load_state_dict(live["loader"])
        self._made_at = state.made_at()
