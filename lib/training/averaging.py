"""Weight averages: exponential (EMA), arithmetic over time (SWA), and over runs (soup). Inside ``with
averaging.applied():`` the module holds the average. Specification: section 2.4 of the WeChat 2022 systems."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn, get_swa_multi_avg_fn


class Averaging(ABC):
    """A running average of a module's trainable floating-point parameters, and of its buffers if ``buffers``."""

    buffers = False
    _average: Callable[[list[Tensor], list[Tensor], Any], None]

    def __init__(self):
        self.count = 0
        self._live: list[Tensor] = []
        self._mean: list[Tensor] = []

    def start(self, module: nn.Module) -> None:
        """Begin with a copy of the module's parameters. Called once, by the trainer."""
        self._live = [p for p in module.parameters() if p.requires_grad and p.is_floating_point()]
        if self.buffers:
            self._live += [buffer for buffer in module.buffers() if buffer.is_floating_point()]
        self._mean = [parameter.detach().clone() for parameter in self._live]
        self.count = 0

    @abstractmethod
    def update(self, step: int, total: int) -> None:
        """Take in the live parameters after update number ``step`` (from 1) of ``total``."""

    @torch.no_grad()
    def _take(self) -> None:
        self._average(self._mean, [parameter.detach() for parameter in self._live], self.count)
        self.count += 1

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The module holds the average inside the block; gets its own parameters back bit for bit, also after an error."""
        own = [parameter.data for parameter in self._live]
        try:
            for parameter, mean in zip(self._live, self._mean, strict=True):
                parameter.data = mean
            yield
        finally:
            for parameter, data in zip(self._live, own, strict=True):
                parameter.data = data

    def state_dict(self) -> dict[str, Any]:
        return {"count": self.count, "mean": list(self._mean)}

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.count = state["count"]
        for mean, saved in zip(self._mean, state["mean"], strict=True):
            mean.copy_(saved)


class WeightEma(Averaging):
    """mean <- d * mean + (1 - d) * live, after every update; starts at the initial weights.

    Corrected, d = decay * (1 - decay^(t-1)) / (1 - decay^t) at update t, which is Adam's correction of bias: the mean
    is that of the updates alone, with weights decay^(t-i), and the initial weights have none. Uncorrected they keep
    decay^t: 7 % after 264 updates at 0.99. Used by: WeChat rank 72.

    Args:
        decay: in [0, 1); 0 gives the live model; the published systems use 0.999 for tens of thousands of updates.
        corrected: False takes d = decay throughout, as published (quirk R21).
    """

    def __init__(self, *, decay: float = 0.999, corrected: bool = True):
        super().__init__()
        self.decay, self.corrected = decay, corrected

    def update(self, step: int, total: int) -> None:
        decay, before = self.decay, self.count
        if self.corrected:
            decay *= (1 - decay**before) / (1 - decay ** (before + 1))
        self._average = get_ema_multi_avg_fn(decay)
        self._take()


class WeightSwa(Averaging):
    """Arithmetic mean of the weights every ``every`` updates over the last part of the run (stochastic weight averaging).

    The last update is always a member, so a run whose tail holds no other ends with its live weights. After Izmailov et
    al. 2018 (arXiv:1803.05407).

    Args:
        start: share of the run, in [0, 1), after which averaging begins; before that the average is the live model.
        buffers: average the running statistics of BatchNorm along with the weights, as torch's ``use_buffers`` does; else
            they stay those of the live weights.
    """

    def __init__(self, *, start: float = 0.75, every: int = 1, buffers: bool = False):
        super().__init__()
        self.begin, self.every, self.buffers = start, every, buffers
        self._average = get_swa_multi_avg_fn()

    @torch.no_grad()
    def update(self, step: int, total: int) -> None:
        if step <= self.begin * total:
            self._restart()
        elif step % self.every == 0 or step == total:
            if self.count == 0:
                self._restart()
                self.count = 1
            else:
                self._take()

    def _restart(self) -> None:
        """The average is the live model."""
        for mean, parameter in zip(self._mean, self._live, strict=True):
            mean.copy_(parameter.detach())


def soup(members: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Uniform mean of the weights of several runs from the same initialisation. Floating-point entries are averaged in
    float64; others are those of the first member."""
    mixed: dict[str, Tensor] = {}
    for name, tensor in members[0].items():
        if tensor.is_floating_point():
            mixed[name] = torch.stack([member[name].double() for member in members]).mean(0).to(tensor.dtype)
        else:
            mixed[name] = tensor.clone()
    return mixed


def greedy_soup(
    members: Sequence[Mapping[str, Tensor]],
    scores: Sequence[float],
    evaluate: Callable[[Mapping[str, Tensor]], float],
    *,
    higher_is_better: bool,
) -> tuple[dict[str, Tensor], list[int]]:
    """Add members from the best down, keeping one only if the score of the mean does not drop. Returns the weights, and
    the numbers of the members they are made of."""
    sign = 1 if higher_is_better else -1
    order = sorted(range(len(members)), key=lambda number: -sign * scores[number])
    kept, best, mixed = [order[0]], scores[order[0]], soup([members[order[0]]])
    for number in order[1:]:
        candidate = soup([members[index] for index in [*kept, number]])
        score = evaluate(candidate)
        if sign * score >= sign * best:
            kept, best, mixed = [*kept, number], score, candidate
    return mixed, kept
