"""When and what a trainer saves, and how it takes up its work again: bit for bit where it was."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from lib.training.checkpoint import Checkpointer

if TYPE_CHECKING:
    from lib.training.trainer import Trainer


class Resume:
    """Saves and restores one trainer.

    Random draws need no saving: they depend on the seed and the number of the step. Heavy parts that seldom change, the
    best weights and the rewind's snapshot, are files of their own and only written when they have changed.

    Args:
        checkpoint: None saves nothing.
        every: steps between checkpoints, besides those at evaluations; 0: by time, so that saving costs about 5 %.
    """

    def __init__(self, checkpoint: Checkpointer | None, every: int) -> None:
        self.checkpoint, self.every = checkpoint, every
        self._marks: dict[str, int | None] = {}
        self._cost = 0.0  # seconds that the newest checkpoint took
        self._saved = time.monotonic()

    def due(self, step: int, *, last: bool, evaluated: bool) -> bool:
        if self.checkpoint is None:
            return False
        if self.every:
            return last or evaluated or step % self.every == 0
        return last or time.monotonic() - self._saved > max(5.0, 20 * self._cost)

    def save(self, trainer: Trainer, position: dict[str, Any]) -> None:
        """``position``: the loader's, behind the batches of the newest step."""
        if self.checkpoint is None:
            return
        began = time.monotonic()
        rewind = trainer.rewind
        parts: dict[str, Any] = {
            "live": {
                "step": trainer.step,
                "samples": trainer.samples,
                "seconds": trainer.seconds,
                "learned": trainer.learned.state_dict(),
                "schedule": trainer.schedule.state_dict(),
                "rewind": None if rewind is None else rewind.state_dict(),
                "loader": position,
                "meter": trainer.meter.steps,
                "best": {"step": trainer.best.step, "score": trainer.best.score},
            },
            "best": trainer.best.weights,
            "snapshot": None if rewind is None else rewind.snapshot,
        }
        marks = _marks(trainer)
        unchanged = [name for name, mark in marks.items() if mark == self._marks.get(name, -1)]
        self.checkpoint.save(
            trainer.step, {name: part for name, part in parts.items() if name not in unchanged}, unchanged
        )
        self._marks, self._saved = marks, time.monotonic()
        self._cost = self._saved - began

    def restore(self, trainer: Trainer, loader: Any) -> None:
        """Put trainer and loader where the newest checkpoint was made; nothing if there is none."""
        if self.checkpoint is None or self.checkpoint.step() is None:
            return
        device = trainer.accelerator.device
        live = self.checkpoint.load("live", device)
        trainer.step, trainer.samples, trainer.seconds = live["step"], live["samples"], live["seconds"]
        trainer.meter.steps = live["meter"]
        trainer.learned.load_state_dict(live["learned"])
        trainer.schedule.load_state_dict(live["schedule"])
        if trainer.rewind is not None:
            trainer.rewind.load_state_dict(live["rewind"])
            trainer.rewind.snapshot = self.checkpoint.load("snapshot", device)
        trainer.best.step, trainer.best.score = live["best"]["step"], live["best"]["score"]
        trainer.best.weights = self.checkpoint.load("best")
        loader.load_state_dict(live["loader"])
        self._marks = _marks(trainer)


def _marks(trainer: Trainer) -> dict[str, int | None]:
    """Steps at which the heavy parts were made."""
    snapshot = None if trainer.rewind is None else trainer.rewind.snapshot
    return {"best": trainer.best.step, "snapshot": None if snapshot is None else snapshot["step"]}
