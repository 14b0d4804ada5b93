"""A loss that runs away: noticed, taken back a few times, then reported. The winner of AIAC 2021 lost 7,000 steps to
one divergence (A4.1, quirk A7-4)."""

import copy
import math
from collections import deque
from dataclasses import dataclass
from statistics import median
from typing import Any, Protocol


class DivergenceError(RuntimeError):
    """Training diverged again after every rewind that was allowed."""


class Learning(Protocol):
    """What is taken back: what has been learned after ``step`` updates (``lib.training.state.TrainState``)."""

    step: int

    def learned(self) -> dict[str, Any]: ...

    def load_learned(self, learned: dict[str, Any], /) -> None: ...


@dataclass
class Rewind:
    """Judges the loss of every step, and says when the trainer should keep a copy of its state.

    Diverged is a loss that is not finite, or one above ``factor`` times the best running median for ``patience`` steps on
    end. The trainer then restores its newest good copy and goes on with the batches that follow, so the offending ones are
    skipped; step numbers and the learning rate go on as well.

    Args:
        window: steps of the running median; nothing but non-finite losses is judged before it is full.
        snapshot_every: steps between copies. A copy is only taken when the batch that follows has shown a loss within the
            limit. It lives on the training device and is about three times the size of the parameters.
    """

    factor: float = 3.0
    window: int = 50
    patience: int = 5
    max_rewinds: int = 3
    snapshot_every: int = 100

    def __post_init__(self) -> None:
        self.losses: deque[float] = deque(maxlen=self.window)
        self.first: float | None = None  # median of the first full window
        self.best: float | None = None  # lowest running median
        self.streak = self.rewinds = 0
        self.snapshot: dict[str, Any] | None = None  # step, what was learned, and what was known of the loss then

    @property
    def limit(self) -> float:
        """Losses above it are suspicious. A loss that has shrunk ten thousandfold is noise around zero, not a yardstick."""
        if self.best is None or self.first is None:
            return math.inf
        return self.factor * max(self.best, 1e-4 * self.first)

    def observe(self, loss: float) -> str | None:
        """Take in the loss of the next step; returns why it is a divergence, or None."""
        if not math.isfinite(loss):
            return "the loss is not finite"
        self.streak = self.streak + 1 if loss > self.limit else 0
        if self.streak >= self.patience:
            return (
                f"the loss is above {self.factor:g} x its best running median {self.best:.6g} for {self.streak} steps"
            )
        self.losses.append(loss)
        if len(self.losses) == self.window:
            middle = median(self.losses)
            self.first = middle if self.first is None else self.first
            self.best = middle if self.best is None else min(self.best, middle)
        return None

    def due(self, step: int) -> bool:
        """Whether a copy of the state after ``step`` updates is wanted."""
        return self.snapshot is None or step - self.snapshot["step"] >= self.snapshot_every

    def keep(self, step: int, loss: float, state: Learning) -> None:
        """Copy what ``step`` updates have taught if the loss it gives on the next batch is within the limit."""
        if math.isfinite(loss) and loss <= self.limit and self.streak == 0:
            learned = copy.deepcopy(state.learned())
            self.snapshot = {"step": step, "known": self.state_dict(), "learned": learned}

    def go_back(self, state: Learning, *, loss: float, lr: float, reason: str) -> dict[str, Any]:
        """Restore the copy; returns the row for the history. Raises DivergenceError: no copy, or as many rewinds as
        allowed have been made."""
        step = state.step
        if self.rewinds >= self.max_rewinds or self.snapshot is None:
            raise DivergenceError(
                f"training diverged at step {step}: {reason} (loss {loss:.6g}, learning rate {lr:.3g}, {self.rewinds} rewinds "
                "before). Lower optimizer.lr, clip gradients (max_grad_norm: 1.0), lengthen schedule.warmup, or, if only some "
                "batches are bad, allow more with rewind.max_rewinds"
            )
        state.load_learned(self.snapshot["learned"])
        self.load_state_dict(self.snapshot["known"] | {"rewinds": self.rewinds + 1, "streak": 0})
        return {"step": step, "event": "rewind", "to": self.snapshot["step"], "reason": reason, "lr": lr}

    def state_dict(self) -> dict[str, Any]:
        counts = {name: getattr(self, name) for name in ("first", "best", "streak", "rewinds")}
        return {"losses": list(self.losses), **counts}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.losses = deque(state["losses"], maxlen=self.window)
        self.first, self.best = state["first"], state["best"]
        self.streak, self.rewinds = state["streak"], state["rewinds"]
