"""The one training loop: all systems, all stages, on a CPU, a GPU or several."""

import math
import signal
import time
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from accelerate.utils import broadcast_object_list
from torch import Tensor, nn

from lib.data.batch import Batch
from lib.runs.folder import History
from lib.training.adversarial import Adversary
from lib.training.averaging import Averaging
from lib.training.checkpoint import Checkpointer
from lib.training.divergence import Rewind
from lib.training.feed import Feed, Stop, Style, progress
from lib.training.schedule import Schedule
from lib.training.seed import generator_for, seed_step
from lib.training.state import Best, Resume, TrainState


class Task(nn.Module):
    """A model and the objectives it is trained on, behind one ``forward``: what is wrapped for several devices and saved as
    a whole. Its parameters are ``model.*`` and ``mix.*``; ``mix`` is an ``ObjectiveMix``."""

    model: nn.Module
    mix: Any

    def __init__(self, model: nn.Module, mix: nn.Module):
        super().__init__()
        self.model, self.mix = model, mix

    def forward(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """The weighted total and each named term, scalars."""
        return self.mix(self.model, batch)


@dataclass(frozen=True)
class Settings:
    """Numbers and switches of a run.

    ``primary`` is the score that selects, ``higher_is_better`` its direction; ties go to the later step, as published.
    ``max_grad_norm`` limits the gradient's global L2 norm; None: no clipping (quirk A7-4). ``accumulate`` batches make one
    update; gradients are averaged over them. ``eval_every`` steps between evaluations; 0: once an epoch; the last step is
    always evaluated. ``save_every`` steps between checkpoints, besides those at evaluations; 0: every ``save_minutes``, or,
    if these are 0, so that saving costs about 5 %. ``keep_best``: end with the best weights, the mean of the best
    ``mean_of``, else with the last. ``reload_best_each_epoch``: put the best weights back at every epoch's end, and train on
    (quirk A7-5). ``ahead``: batches that a thread prepares in advance; None: two for a GPU, none on a CPU.
    """

    primary: str = ""
    higher_is_better: bool = True
    seed: int = 0
    max_grad_norm: float | None = 1.0
    accumulate: int = 1
    eval_every: int = 0
    save_every: int = 0
    save_minutes: float = 0
    log_every: int = 10
    keep_best: bool = True
    mean_of: int = 1
    reload_best_each_epoch: bool = False
    ahead: int | None = None
    progress: Style = "auto"


@dataclass(frozen=True)
class TrainResult:
    """What a run came to; the weights are in the model."""

    best_step: int  # step whose weights the model holds now
    best_score: float | None  # selection score there; None without one
    steps: int
    samples: int  # seen in all, over all processes
    seconds: float  # spent training, without evaluation and checkpoints, over all restarts


class Trainer:
    """Trains a model on a mix of objectives and leaves the chosen weights in both.

    A step, in order: corrupt, forward, named terms, weighted total, backward, adversarial second pass, clip, optimizer,
    schedule, averaging, after_step, log. Its random draws depend on the seed and the step's number alone, and losses are
    fetched from the device every ``log_every`` steps only, so that a GPU never waits for the loop.

    Args:
        score: evaluates the model it is given; called on all processes, every one returns the same.
        history: takes rows ``{step, epoch, lr, loss, terms, grad_norm}`` (means since the last such row), ``{step, epoch,
            scores}`` and ``{step, event, ...}``; numbers that are not finite are None.
    """

    def __init__(
        self,
        task: Task,
        accelerator: Accelerator,
        optimizer: torch.optim.Optimizer,
        schedule: Schedule,
        settings: Settings,
        *,
        averaging: Averaging | None = None,
        adversarial: Adversary | None = None,
        rewind: Rewind | None = None,
        score: Callable[[nn.Module], dict[str, float]] | None = None,
        checkpoint: Checkpointer | None = None,
        history: History | None = None,
    ):
        self.task, self.accelerator, self.schedule, self.settings = task, accelerator, schedule, settings
        self.adversarial, self.rewind, self.averaging, self.score = adversarial, rewind, averaging, score
        self.history = history if accelerator.is_main_process else None
        if accelerator.num_processes > 1 and accelerator.ddp_handler is None:
            # a head that this stage's objectives do not use gets no gradient
            accelerator.ddp_handler = DistributedDataParallelKwargs(find_unused_parameters=True)  # pyright: ignore
        self.rates = [group["lr"] for group in optimizer.param_groups]
        self.wrapped, self.optimizer = accelerator.prepare(task, optimizer)
        schedule.start(settings.higher_is_better)
        if averaging is not None:
            averaging.start(task)
        keeps = settings.keep_best or settings.reload_best_each_epoch
        best = Best(settings.higher_is_better, keeps, settings.mean_of)
        self.state = TrainState(task, self.optimizer, schedule, best, averaging, rewind)
        self.resume = Resume(checkpoint, settings.save_every, settings.save_minutes)

    def fit(self, loader: Iterable[Batch], steps: int) -> TrainResult:
        """Train until update number ``steps``, from the checkpoint if there is one; with 0 steps the weights are only
        scored.

        ``loader``: whole batches, of which several processes each take a share; has ``state_dict`` and ``load_state_dict`` (its position), and
        ``steps_per_epoch`` if epochs mean something. SIGTERM ends the process, with a checkpoint of the newest step. Raises DivergenceError: the loss ran away more often than
        ``rewind`` allows; KeyError: ``score`` returns no ``primary``.
        """
        state, settings, accelerator = self.state, self.settings, self.accelerator
        self.resume.restore(state, loader, accelerator.device)
        if self.history is not None:
            self.history.truncate(state.step)
        epoch = max(1, getattr(loader, "steps_per_epoch", steps) // settings.accumulate)
        ahead = settings.ahead if settings.ahead is not None else (2 if accelerator.device.type == "cuda" else 0)
        style: Style = settings.progress if accelerator.is_main_process else "off"
        self.task.train()
        with (
            Stop() as stop,
            Feed(loader, partial(self._prepared, done=state.step), ahead) as feed,
            progress(steps, state.step, style) as bar,
        ):
            started = time.monotonic()
            if state.step == steps == 0:
                self._evaluate(0.0)
            while state.step < steps:
                state.step = step = state.step + 1
                seed_step(settings.seed, step, accelerator.process_index)
                self._update([feed.next().to(accelerator.device) for _ in range(settings.accumulate)], steps)
                bar.update()
                evaluate = step == steps or step % (settings.eval_every or epoch) == 0
                if looks := evaluate or step % settings.log_every == 0:
                    bar.set_postfix_str(f"loss {self._look(step / epoch):.4g}", refresh=False)
                state.seconds += time.monotonic() - started
                if evaluate:
                    self._evaluate(step / epoch)
                if step % epoch == 0 and step < steps and settings.reload_best_each_epoch:
                    self._reload_best()
                leaves = self._leaves(stop.asked, looks)
                if leaves or self.resume.due(step, last=step == steps, evaluated=evaluate):
                    self.resume.save(state, feed.position)
                if leaves:
                    raise SystemExit(128 + signal.SIGTERM)
                started = time.monotonic()
        return self._finish()

    def _leaves(self, asked: bool, looks: bool) -> bool:
        """Whether the run was asked to stop; several processes agree on it where they look at their losses."""
        if self.accelerator.num_processes == 1:
            return asked
        device = self.accelerator.device
        return looks and bool(self.accelerator.reduce(torch.tensor(float(asked), device=device), "sum"))

    # One step

    def _prepared(self, batch: Batch, number: int, done: int) -> Batch:
        """Corrupted on the CPU by a generator of the very step it is for, ``number`` batches after ``done`` steps, alike in
        all processes, of which each then takes its share."""
        step, part = divmod(number, self.settings.accumulate)
        # the 0 is part of every run's seeds: without it they would draw other numbers
        generator = generator_for(self.settings.seed, "corrupt", done + step + 1, part, 0)
        batch = self.task.mix.corrupt(batch, generator)
        batch = batch.share(self.accelerator.process_index, self.accelerator.num_processes)
        return batch.pin_memory() if self.accelerator.device.type == "cuda" else batch

    def _update(self, batches: list[Batch], steps: int) -> None:
        """Update number ``state.step`` of ``steps``."""
        state = self.state
        for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
            group["lr"] = rate * self.schedule.multiplier(state.step - 1)
        loss, terms = self._gradients(batches)
        if self.adversarial is not None:
            self.adversarial(self.task, lambda: self._gradients(batches))
        self._keep_snapshot(loss)  # of the state that gave this loss, so before its update
        grad_norm = self._clip()
        self.optimizer.step()
        self.optimizer.zero_grad()
        if self.averaging is not None:
            self.averaging.update(state.step, steps)
        self.task.mix.after_step(self.task.model)
        rate = self.optimizer.param_groups[0]["lr"]
        state.unlogged.append({"lr": rate, "loss": loss, "terms": terms, "grad_norm": grad_norm})
        state.samples += sum(batch.samples for batch in batches)

    def _gradients(self, batches: list[Batch]) -> tuple[Tensor, dict[str, Tensor]]:
        """Forward and backward over the batches of an update, added to the gradients; the loss and its terms as means over
        them, on the device."""
        loss, terms = torch.zeros((), device=self.accelerator.device), {}
        for part, batch in enumerate(batches, start=1):
            with nullcontext() if part == len(batches) else self.accelerator.no_sync(self.wrapped):
                total, named = self.wrapped(batch)
                self.accelerator.backward(total / len(batches))
            loss = loss + total.detach().float() / len(batches)
            terms = {name: terms.get(name, 0.0) + v.detach().float() / len(batches) for name, v in named.items()}
        return loss, terms

    def _clip(self) -> Tensor:
        """Global gradient norm before clipping."""
        if self.settings.max_grad_norm is not None:
            norm: Any = self.accelerator.clip_grad_norm_(self.task.parameters(), self.settings.max_grad_norm)
            return norm
        return nn.utils.get_total_norm([p.grad for p in self.task.parameters() if p.grad is not None])

    # Every so often

    def _log(self, row: dict[str, Any]) -> None:
        if self.history is not None:
            self.history.append(row)

    def _look(self, epoch: float) -> float:
        """Log the steps since the last look and judge their losses; returns the newest one."""
        row, losses = history_row(self.state.unlogged, self.accelerator)
        self.state.unlogged = []
        self._log({"step": self.state.step, "epoch": epoch, **row})
        for loss in losses:
            if self.rewind is not None and (reason := self.rewind.observe(loss)) is not None:
                self._log(self.rewind.go_back(self.state, loss=loss, lr=row["lr"], reason=reason))
                break
        return losses[-1]

    def _evaluate(self, epoch: float) -> None:
        """Score the averaged weights; remember them if none were better. Leaves torch's random stream alone."""
        if self.score is None:
            return
        state, primary = self.state, self.settings.primary
        devices = [self.accelerator.device] if self.accelerator.device.type == "cuda" else []
        with torch.random.fork_rng(devices), state.averaged():
            self.task.eval()
            scores = {name: float(value) for name, value in self.score(self.task.model).items()}
            if self.accelerator.num_processes > 1:  # the same decision everywhere, whatever rounding does
                scores = broadcast_object_list([scores])[0]
            self.task.train()
            state.best.offer(state.step, scores[primary], state.weights)
        row = {name: _finite(value) for name, value in scores.items()}
        self._log({"step": state.step, "epoch": epoch, "scores": row})
        self.schedule.observe(scores[primary])

    def _reload_best(self) -> None:
        best = self.state.best
        if best.weights is not None:
            self.task.load_state_dict(best.weights)
            self._log({"step": self.state.step, "event": "reload_best", "from": best.step})

    def _keep_snapshot(self, loss: Tensor) -> None:
        """Copy the state that gave this loss, when a copy is due."""
        if self.rewind is not None and self.rewind.due(self.state.step - 1):
            shared: Any = self.accelerator.reduce(loss, "mean")
            self.rewind.keep(self.state.step - 1, float(shared), self.state)

    def _finish(self) -> TrainResult:
        """Leave the chosen weights in the model."""
        state, best = self.state, self.state.best
        step = state.step
        if self.settings.keep_best and best.weights is not None:
            self.task.load_state_dict(best.weights)
            step = best.step
        elif self.averaging is not None:
            with state.averaged():
                weights = state.weights()
            self.task.load_state_dict(weights)
        return TrainResult(step, best.score, state.step, state.samples, state.seconds)


def history_row(steps: list[dict[str, Any]], accelerator: Accelerator) -> tuple[dict[str, Any], list[float]]:
    """Numbers of some steps, which stay on the device until here: one transfer, one mean over the processes. ``steps``:
    each with ``lr``, and tensors ``loss``, ``grad_norm`` and ``terms`` by name. Returns the row for the history (means
    over the steps, the rate of the last one; None where not finite), and the loss of each step."""
    names = list(steps[0]["terms"])
    table = [torch.stack([s["loss"], s["grad_norm"], *(s["terms"][name] for name in names)]) for s in steps]
    shared: Any = accelerator.reduce(torch.stack(table), "mean")
    values: list[list[float]] = shared.tolist()
    loss, norm, *terms = (_finite(math.fsum(column) / len(values)) for column in zip(*values, strict=True))
    row = {"lr": steps[-1]["lr"], "loss": loss, "terms": dict(zip(names, terms, strict=True)), "grad_norm": norm}
    return row, [step[0] for step in values]


def _finite(value: float) -> float | None:
    """NaN and infinity are not JSON."""
    return value if math.isfinite(value) else None
