"""From a stage's spec to its trainer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from lib.recipes.bind import bind
from lib.recipes.specs import StageSpec
from lib.runs.history import History
from lib.training.averaging import Averaging, WeightEma, WeightSwa
from lib.training.checkpoint import Checkpointer
from lib.training.divergence import Rewind
from lib.training.optimizers import optimizer_from
from lib.training.schedule import ConstantTail, Schedule
from lib.training.task import Task
from lib.training.trainer import Trainer

if TYPE_CHECKING:
    from accelerate import Accelerator


def loop_from(
    spec: StageSpec,
    *,
    model: nn.Module,
    mix: nn.Module,
    accelerator: Accelerator,
    loader: Any,
    steps: int,
    seed: int,
    state: Path,
    history: History,
    score: Callable[[nn.Module], dict[str, float]] | None,
    higher_is_better: bool,
) -> Trainer:
    """The trainer of one stage: optimizer, schedule and tricks as its spec says.

    Args:
        loader: has ``steps_per_epoch``; the schedule is laid out for ``steps``.
        state: folder for checkpoints.
        history: takes the rows; those after the step of a resume are cut.
    """
    sizes = {"total_steps": max(1, steps), "steps_per_epoch": loader.steps_per_epoch}
    return Trainer(
        mix=mix,
        model=model,
        accelerator=accelerator,
        optimizer=optimizer_from(spec.optimizer, Task(model, mix).named_parameters()),
        schedule=schedule_from(spec, sizes),
        max_grad_norm=spec.max_grad_norm,
        averaging=averaging_from(spec, loader.steps_per_epoch),
        adversarial=None if spec.adversarial is None else bind("training", spec.adversarial, sizes, "adversarial"),
        checkpoint=Checkpointer(state, writes=accelerator.is_main_process),
        log=history.append,
        truncate=history.truncate,
        score=score,
        primary=spec.evaluation.select,
        higher_is_better=higher_is_better,
        eval_every=spec.evaluation.every,
        keep_best=spec.evaluation.keep == "best",
        reload_best_each_epoch=spec.reload_best_each_epoch,
        rewind=None if spec.rewind is None else Rewind(**spec.rewind.model_dump()),
        seed=seed,
    )


def schedule_from(spec: StageSpec, sizes: dict[str, int]) -> Schedule:
    """The stage's schedule, with SWA's constant tail if it asks for one."""
    schedule = bind("training", spec.schedule, sizes, "schedule")
    if spec.swa is None or spec.swa.lr_factor is None:
        return schedule
    return ConstantTail(schedule, total_steps=sizes["total_steps"], start=spec.swa.start, factor=spec.swa.lr_factor)


def averaging_from(spec: StageSpec, steps_per_epoch: int) -> Averaging | None:
    """The stage's average of weights; a stage has at most one."""
    if spec.ema is not None:
        return WeightEma(decay=spec.ema.decay)
    if spec.swa is None:
        return None
    return WeightSwa(start=spec.swa.start, every=spec.swa.every or steps_per_epoch, buffers=spec.swa.buffers)
