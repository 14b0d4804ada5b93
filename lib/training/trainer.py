"""The one training loop: all systems, all stages, on a CPU, a GPU or several."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from lib.training.adversarial import Adversary
from lib.training.averaging import Averaging
from lib.training.checkpoint import Checkpointer
from lib.training.divergence import Rewind
from lib.training.feed import Feed
from lib.training.learned import Best, Learned
from lib.training.meter import Meter, finite
from lib.training.progress import Progress, Style
from lib.training.resume import Resume
from lib.training.schedule import Schedule
from lib.training.seed import generator_for, seed_step
from lib.training.task import Task

if TYPE_CHECKING:
    from accelerate import Accelerator

    from lib.data.batch import Batch


@dataclass(frozen=True)
class TrainResult:
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
        mix, model: an ``ObjectiveMix`` and what it calls; both are trained.
        optimizer: over the parameters of ``Task(model, mix)``.
        schedule: factor of the optimizer's rates for each update.
        max_grad_norm: limit of the gradient's global L2 norm; None: no clipping (quirk A7-4).
        accumulate: batches per update; gradients are averaged over them.
        averaging: weights that are evaluated and kept instead of the live ones.
        adversarial: second pass on disturbed word embeddings.
        checkpoint: where to keep the state for a resume; None: a killed run starts again.
        log: takes each row of the history: ``{step, epoch, lr, loss, terms, grad_norm}`` (means since the last such row),
            ``{step, epoch, scores}``, ``{step, event, ...}``. Numbers that are not finite become None.
        truncate: called with the step the run starts from, to drop rows after it that a killed run has left.
        score: evaluates the model it is given; called on all processes, every one returns the same.
        primary: the score that selects; ``higher_is_better`` is its direction. Ties go to the later step, as published.
        eval_every: steps between evaluations; 0: once an epoch. The last step is always evaluated.
        save_every: steps between checkpoints, besides those at evaluations; 0: by time, so that saving costs about 5 %.
        keep_best: end with the best weights, else with the last.
        reload_best_each_epoch: put the best weights back at every epoch's end, and train on (quirk A7-5).
        rewind: what to do about divergence; None: nothing.
        ahead: batches prepared in advance by a thread; None: two for a GPU, none on a CPU.
    """

    def __init__(
        self,
        *,
        mix: nn.Module,
        model: nn.Module,
        accelerator: Accelerator,
        optimizer: torch.optim.Optimizer,
        schedule: Schedule,
        max_grad_norm: float | None = 1.0,
        accumulate: int = 1,
        averaging: Averaging | None = None,
        adversarial: Adversary | None = None,
        checkpoint: Checkpointer | None = None,
        log: Callable[[dict[str, Any]], None] = lambda row: None,
        truncate: Callable[[int], None] = lambda step: None,
        score: Callable[[nn.Module], dict[str, float]] | None = None,
        primary: str = "",
        higher_is_better: bool = True,
        eval_every: int = 0,
        save_every: int = 0,
        log_every: int = 10,
        keep_best: bool = True,
        reload_best_each_epoch: bool = False,
        rewind: Rewind | None = None,
        seed: int = 0,
        ahead: int | None = None,
        progress: Style = "auto",
    ) -> None:
        self.accelerator, self.schedule = accelerator, schedule
        self.averaging, self.adversarial = averaging, adversarial
        self.max_grad_norm, self.accumulate, self.seed = max_grad_norm, accumulate, seed
        self.score, self.primary, self.eval_every, self.log_every = score, primary, eval_every, log_every
        self.resume = Resume(checkpoint, save_every)
        self.keep_best, self.reload_best_each_epoch, self.rewind = keep_best, reload_best_each_epoch, rewind
        self.log = log if accelerator.is_main_process else lambda row: None
        self.truncate = truncate if accelerator.is_main_process else lambda step: None
        self.ahead = ahead if ahead is not None else (2 if accelerator.device.type == "cuda" else 0)
        self.progress: Style = progress if accelerator.is_main_process else "off"
        if accelerator.num_processes > 1 and accelerator.ddp_handler is None:
            from accelerate import DistributedDataParallelKwargs

            # a head that this stage's objectives do not use gets no gradient
            accelerator.ddp_handler = DistributedDataParallelKwargs(find_unused_parameters=True)  # pyright: ignore
        self.task = Task(model, mix)
        self.rates = [group["lr"] for group in optimizer.param_groups]
        self.wrapped, self.optimizer = accelerator.prepare(self.task, optimizer)
        schedule.start(higher_is_better)
        if averaging is not None:
            averaging.start(self.task)
        self.step, self.samples, self.seconds = 0, 0, 0.0
        self.learned = Learned(self.task, self.optimizer, averaging)
        self.best = Best(higher_is_better, keep_weights=keep_best or reload_best_each_epoch)
        self.meter = Meter()

    def fit(self, loader: Iterable[Batch], steps: int) -> TrainResult:
        """Train until update number ``steps``, from the checkpoint if there is one; with 0 steps the weights are only scored.

        Args:
            loader: batches of this process; has ``state_dict`` and ``load_state_dict`` (its position), and
                ``steps_per_epoch`` if epochs mean something.

        Raises:
            DivergenceError: the loss ran away more often than ``rewind`` allows.
            KeyError: ``score`` returns no ``primary``.
        """
        self.resume.restore(self, loader)
        self.truncate(self.step)
        epoch = max(1, getattr(loader, "steps_per_epoch", steps) // self.accumulate)
        self.task.train()
        prepare = partial(self._prepared, done=self.step)
        with Feed(loader, prepare, self.ahead) as feed, Progress(steps, self.step, self.progress) as bar:
            started = time.monotonic()
            if self.step == steps == 0 and self.score is not None:
                self._evaluate(self.score, 0.0)
            while self.step < steps:
                self.step = step = self.step + 1
                seed_step(self.seed, step, self.accelerator.process_index)
                batches = [feed.next().to(self.accelerator.device) for _ in range(self.accumulate)]
                for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
                    group["lr"] = rate * self.schedule.multiplier(step - 1)
                loss, terms = self._gradients(batches)
                if self.adversarial is not None:
                    self.adversarial(self.task, lambda batches=batches: self._gradients(batches))
                self._keep_snapshot(loss)
                grad_norm = self._clip()
                self.optimizer.step()
                self.optimizer.zero_grad()
                if self.averaging is not None:
                    self.averaging.update(step, steps)
                self.task.mix.after_step(self.task.model)
                self.meter.add(lr=self.optimizer.param_groups[0]["lr"], loss=loss, terms=terms, grad_norm=grad_norm)
                seen = sum(batch.samples for batch in batches) * self.accelerator.num_processes
                self.samples += seen
                bar.advance(seen)

                evaluate = step == steps or step % (self.eval_every or epoch) == 0
                if evaluate or step % self.log_every == 0:
                    bar.show(self._look(step / epoch))
                self.seconds += time.monotonic() - started
                if evaluate and self.score is not None:
                    self._evaluate(self.score, step / epoch)
                if step % epoch == 0 and step < steps and self.reload_best_each_epoch and self.best.weights is not None:
                    self.learned.load_weights(self.best.weights)
                    self.log({"step": step, "event": "reload_best", "from": self.best.step})
                if self.resume.due(step, last=step == steps, evaluated=evaluate):
                    self.resume.save(self, feed.position)
                started = time.monotonic()
        return self._finish()

    def unwrapped(self) -> tuple[nn.Module, nn.Module]:
        """The model and the mix, without what several devices or mixed precision have put around them."""
        return self.task.model, self.task.mix

    # One step

    def _prepared(self, batch: Batch, number: int, done: int) -> Batch:
        """Corrupted on the CPU by a generator of the very step it is for; ``number`` batches after ``done`` steps."""
        step, part = divmod(number, self.accumulate)
        generator = generator_for(self.seed, "corrupt", done + step + 1, part, self.accelerator.process_index)
        batch = self.task.mix.corrupt(batch, generator)
        return batch.pin_memory() if self.accelerator.device.type == "cuda" else batch

    def _gradients(self, batches: list[Batch]) -> tuple[Tensor, dict[str, Tensor]]:
        """Forward and backward over the batches of one update, added to the gradients; loss and terms as means over them."""
        share = 1 / len(batches)
        loss, terms = torch.zeros((), device=self.accelerator.device), {}
        for part, batch in enumerate(batches, start=1):
            with nullcontext() if part == len(batches) else self.accelerator.no_sync(self.wrapped):
                total, named = self.wrapped(batch)
                self.accelerator.backward(total * share)
            loss = loss + total.detach().float() * share
            terms = {name: terms.get(name, 0.0) + value.detach().float() * share for name, value in named.items()}
        return loss, terms

    def _clip(self) -> Tensor:
        """Global gradient norm before clipping."""
        if self.max_grad_norm is not None:
            norm: Any = self.accelerator.clip_grad_norm_(self.task.parameters(), self.max_grad_norm)
            return norm
        return nn.utils.get_total_norm([p.grad for p in self.task.parameters() if p.grad is not None])

    # Every so often

    def _look(self, epoch: float) -> float:
        """Log the steps since the last look and judge their losses; returns the newest one."""
        row, losses = self.meter.take(self.accelerator)
        self.log({"step": self.step, "epoch": epoch, **row})
        if self.rewind is not None:
            for loss in losses:
                reason = self.rewind.observe(loss)
                if reason is not None:
                    self.log(self.rewind.go_back(self.learned, step=self.step, loss=loss, lr=row["lr"], reason=reason))
                    break
        return losses[-1]

    def _evaluate(self, score: Callable[[nn.Module], dict[str, float]], epoch: float) -> None:
        """Score the averaged weights; remember them if none were better. Leaves torch's random stream alone."""
        devices = [self.accelerator.device] if self.accelerator.device.type == "cuda" else []
        with torch.random.fork_rng(devices), self.learned.averaged():
            self.task.eval()
            scores = {name: float(value) for name, value in score(self.task.model).items()}
            if self.accelerator.num_processes > 1:  # the same decision everywhere, whatever rounding does
                from accelerate.utils import broadcast_object_list

                scores = broadcast_object_list([scores])[0]
            self.task.train()
            self.best.offer(self.step, scores[self.primary], self.learned.weights)
        row = {name: finite(value) for name, value in scores.items()}
        self.log({"step": self.step, "epoch": epoch, "scores": row})
        self.schedule.observe(scores[self.primary])

    def _keep_snapshot(self, loss: Tensor) -> None:
        """Copy the state that gave this loss, before its update, when a copy is due."""
        if self.rewind is not None and self.rewind.due(self.step - 1):
            shared: Any = self.accelerator.reduce(loss, "mean")
            self.rewind.keep(self.step - 1, float(shared), self.learned)

    def _finish(self) -> TrainResult:
        """Leave the chosen weights in the model."""
        step = self.step
        if self.keep_best and self.best.weights is not None:
            self.learned.load_weights(self.best.weights)
            step = self.best.step
        elif self.averaging is not None:
            with self.learned.averaged():
                weights = self.learned.weights()
            self.learned.load_weights(weights)
        return TrainResult(step, self.best.score, self.step, self.samples, self.seconds)
