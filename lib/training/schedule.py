"""Learning-rate schedules: the factor on every base rate, by the number of the update, counted from 0 (with a warm-up
the first has rate 0)."""

import math
from abc import ABC, abstractmethod
from typing import Any

import torch


class Schedule(ABC):
    """What the trainer asks of a schedule."""

    @abstractmethod
    def multiplier(self, update: int) -> float:
        """Factor of the base learning rate for update number ``update``, counted from 0."""

    def start(self, higher_is_better: bool) -> None:
        """Told the direction of the selection score, before the first update; only ``Plateau`` needs it."""
        return

    def observe(self, score: float) -> None:
        """Told the selection score after every evaluation; only ``Plateau`` needs it."""
        return

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """What ``state_dict`` gave: nothing, of a schedule that is a pure function."""
        return


class WarmupCosine(Schedule):
    """Linear rise from 0, then half a cosine down to 0. Used by: AIAC rank 1, both stages.

    Args:
        warmup: below 1 a share of the schedule's length (rounded down), else a number of updates.
        stretch: the schedule is laid out for ``stretch`` times the run's length (1.0: it ends with the run).
    """

    def __init__(self, *, total_steps: int, warmup: float = 0.06, stretch: float = 1.0):
        self.total, self.warmup = _lengths(total_steps, warmup, stretch)

    def multiplier(self, update: int) -> float:
        if update < self.warmup:
            return update / max(1, self.warmup)
        progress = (update - self.warmup) / max(1, self.total - self.warmup)
        return max(0.0, 0.5 * (1.0 + math.cos(math.pi * progress)))


class WarmupLinear(Schedule):
    """Linear rise from 0, then linear fall to 0. Used by: WeChat baseline, rank 72; AIAC ranks 6 and 17.

    Args:
        warmup: below 1 a share of the schedule's length (rounded down), else a number of updates.
        stretch: the schedule is laid out for ``stretch`` times the run's length. The WeChat baseline laid out 50,000
            steps and ran 28,120 (quirk B3): 1.778094.
        whole: round a warm-up below 1 to whole updates; false keeps the fraction, as BertAdam's own schedule does (rank
            17), which only matters in short runs.
        double: multiply by a second linear schedule with 10 % warm-up, as WeChat rank 72 did by accident (quirk R12).
    """

    def __init__(
        self, *, total_steps: int, warmup: float = 0.1, stretch: float = 1.0, double: bool = False, whole: bool = True
    ):
        self.total, self.warmup = _lengths(total_steps, warmup, stretch)
        self.share = None if whole else warmup if warmup < 1 else warmup / self.total
        self.double = double

    def multiplier(self, update: int) -> float:
        if self.share is not None:
            factor = warmup_linear(update / self.total, self.share)
        elif update < self.warmup:
            factor = update / max(1, self.warmup)
        else:
            factor = max(0.0, (self.total - update) / max(1, self.total - self.warmup))
        return factor * warmup_linear(update / self.total, warmup=0.1) if self.double else factor


class Constant(Schedule):
    """The full rate from the first update on. Used by: AIAC rank 6, stage 2."""

    def multiplier(self, update: int) -> float:
        return 1.0


class Plateau(Schedule):
    """Full rate until the selection score stops improving, then ``factor`` of it, and so on. Used by: AIAC rank 6,
    stage 1. ``torch.optim.lr_scheduler.ReduceLROnPlateau`` does the counting, on a rate of 1.0. ``patience``:
    evaluations without improvement that are tolerated (rank 6: 0)."""

    def __init__(self, *, factor: float = 0.5, patience: int = 0, threshold: float = 1e-4):
        self.factor, self.patience, self.threshold = factor, patience, threshold
        self.start(higher_is_better=True)

    def start(self, higher_is_better: bool) -> None:
        carrier, mode = torch.optim.SGD([torch.zeros(1)], lr=1.0), "max" if higher_is_better else "min"
        counter = torch.optim.lr_scheduler.ReduceLROnPlateau
        self._counter = counter(carrier, mode, self.factor, self.patience, self.threshold)

    def multiplier(self, update: int) -> float:
        return self._counter.optimizer.param_groups[0]["lr"]

    def observe(self, score: float) -> None:
        self._counter.step(score)

    def state_dict(self) -> dict[str, Any]:
        return {"multiplier": self.multiplier(0), "counter": self._counter.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._counter.optimizer.param_groups[0]["lr"] = state["multiplier"]
        self._counter.load_state_dict(state["counter"])


class ConstantTail(Schedule):
    """Another schedule, held at one factor over the last part of the run, where SWA averages. ``start``: share of the
    run after which the factor is ``factor``."""

    def __init__(self, schedule: Schedule, *, total_steps: int, start: float, factor: float):
        self.schedule, self.begin, self.factor = schedule, start * total_steps, factor
        self.start, self.observe = schedule.start, schedule.observe
        self.state_dict, self.load_state_dict = schedule.state_dict, schedule.load_state_dict

    def multiplier(self, update: int) -> float:
        return self.factor if update + 1 > self.begin else self.schedule.multiplier(update)


def warmup_linear(progress: float, warmup: float) -> float:
    """Linear rise from 0 to 1 at ``warmup``, linear fall to 0 at 1; ``progress`` is the share of the run that is done.

    >>> [warmup_linear(x, 0.5) for x in (0.0, 0.25, 0.5, 0.75, 1.5)]
    [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    return progress / warmup if progress < warmup else max(0.0, (progress - 1.0) / (warmup - 1.0))


def _lengths(total_steps: int, warmup: float, stretch: float) -> tuple[int, int]:
    """Length of the schedule and of its warm-up, in updates. Raises ValueError: a negative warm-up, or a schedule
    without a step."""
    total = round(total_steps * stretch)
    if total < 1 or warmup < 0:
        raise ValueError(
            f"schedule: total_steps {total_steps}, stretch {stretch}, warmup {warmup}: needs at least one step and no negative warm-up"
        )
    return total, int(warmup * total) if warmup < 1 else int(warmup)
