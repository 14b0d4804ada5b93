"""What contrasts share: similarities at a learned temperature, a momentum encoder and its queues."""

import copy
import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Annotated, NamedTuple

import torch
import torch.nn.functional as F
from pydantic import Field, PositiveFloat
from torch import Tensor, nn

from lib.models.processes import run_again
from lib.models.video_model import Outputs, VideoModel
from lib.objectives.mix import Objective


class Keys(NamedTuple):
    """Unit vectors [N, E] to be told apart, and which of the N are real."""

    vectors: Tensor
    real: Tensor


class Answers(NamedTuple):
    """By name: a batch's vectors, what they are told apart from, and the same vectors and outputs of the momentum copy."""

    own: dict[str, Keys]
    keys: dict[str, Keys]
    twins: dict[str, Keys]  # without a copy ``own``
    outputs: dict[str, Outputs]


class Contrast(Objective):
    """Base of contrasts between named vectors of a video, each [B, E]: a row's own key against all other keys.

    Without a queue the keys are the batch's own vectors. With one they are those of a momentum copy of
    the model (He et al. 2019, arXiv:1911.05722) and, as further negatives, the ``queue`` keys before them, which no gradient
    reaches; the batch's keys are queued after the step. ``soft`` is the share of the targets that the copy's own
    similarities make up (momentum distillation, Li et al. 2021, arXiv:2107.07651).

    Args:
        names: of the vectors that have queues.
        project: what maps states to the E numbers that are compared; copied beside the model.
        dim: E.
        temperature: at the start; ``learned`` as a log scale, kept between 0.001 and 0.5.
        model: needed with a queue.
    """

    passes = 0

    def __init__(
        self,
        names: Sequence[str],
        project: nn.Module,
        dim: int,
        *,
        temperature: PositiveFloat = 0.07,
        learned: bool = True,
        queue: int = 0,
        momentum: Annotated[float, Field(ge=0, le=1)] = 0.995,
        soft: Annotated[float, Field(ge=0, lt=1)] = 0.0,
        model: VideoModel | None = None,
    ) -> None:
        super().__init__()
        if soft and not queue:
            raise ValueError(f"{type(self).__name__}: soft is above 0 only with a queue, got {soft}")
        self.project, self.soft, self.learned = project, soft, learned
        self.log_scale = nn.Parameter(torch.tensor(-math.log(temperature)), requires_grad=learned)
        self.copy = self.queues = None
        if queue:
            assert model is not None
            self.copy = Momentum(momentum, model=model.twin(), project=copy.deepcopy(project))
            self.queues = nn.ModuleDict({name: Queue(queue, dim) for name in names})
        self._fresh: dict[str, Keys] = {}

    @abstractmethod
    def vectors(self, seen: Mapping[str, Outputs], project: nn.Module) -> dict[str, Keys]:
        """Name -> what is compared of each video of the batch."""

    def keyed(self, seen: Mapping[str, Outputs]) -> Answers:
        own = self.vectors(seen, self.project)
        if self.copy is None or self.queues is None:
            return Answers(own, own, own, {})
        with torch.no_grad():
            parts = self.copy.copies
            ran = {id(outputs): run_again(parts["model"], outputs) for outputs in seen.values()}
            twins = {label: ran[id(outputs)] for label, outputs in seen.items()}
            keys = self.vectors(twins, parts["project"])
        if self.training:
            self._fresh = keys
        queued = {name: self.queues[name].joined(value) for name, value in keys.items()}  # pyright: ignore[reportCallIssue]
        return Answers(own, queued, keys, twins)

    def scale(self) -> Tensor:
        """1 / temperature."""
        return (self.log_scale.clamp(math.log(1 / 0.5), math.log(1 / 0.001)) if self.learned else self.log_scale).exp()

    def ask(self, asking: Keys, keys: Keys, twin: Keys | None = None, same: Tensor | None = None) -> Tensor:
        """Mean cross entropy over the real rows that have a real key, 0 if there is none.

        Args:
            twin: the momentum copy's vectors of the rows, for soft targets.
            same: bool [B, N], keys that are as right as a row's own.
        """
        own = torch.arange(len(asking.real), device=asking.real.device)
        real = asking.real & keys.real[: len(own)]
        scores = similarities(asking, keys) * self.scale()
        target = F.one_hot(own, len(keys.real)).float() if same is None else same.float() / same.sum(1, keepdim=True)
        if twin is not None and self.soft:
            with torch.no_grad():
                soft = hidden(similarities(twin, keys) * self.scale(), keys.real).softmax(dim=1)
                target = self.soft * soft + (1 - self.soft) * target
        losses = -(target * hidden(scores, keys.real).log_softmax(dim=1)).sum(dim=1)
        return mean(losses, real)

    def start(self, model: VideoModel) -> None:
        if self.copy is not None:
            self.copy.follow(0.0, model=model, project=self.project)

    def after_step(self, model: VideoModel) -> None:
        if self.copy is not None and self.queues is not None:
            self.copy.follow(model=model, project=self.project)
            for name, keys in self._fresh.items():
                self.queues[name].push(keys)  # pyright: ignore[reportCallIssue]
            self._fresh = {}


class Momentum(nn.Module):
    """Copies of modules that follow them: copy <- m copy + (1 - m) own; given any states [B, L, D], no gradient reaches them."""

    def __init__(self, momentum: float, **copies: nn.Module) -> None:
        super().__init__()
        self.momentum, self.copies = momentum, nn.ModuleDict(copies).requires_grad_(False)

    @torch.no_grad()
    def follow(self, momentum: float | None = None, **own: nn.Module) -> None:
        keep = self.momentum if momentum is None else momentum
        for name, module in own.items():
            copied = self.copies[name]
            for key, parameter in copied.named_parameters():
                parameter.lerp_(module.get_parameter(key), 1 - keep)
            for key, buffer in copied.named_buffers():
                buffer.copy_(module.get_buffer(key))


class Queue(nn.Module):
    """The last ``size`` keys of batches [B, E], first in, first out; what is not filled yet, or is of no video, is not real."""

    vectors: Tensor
    real: Tensor
    at: Tensor

    def __init__(self, size: int, dim: int) -> None:
        super().__init__()
        self.register_buffer("vectors", torch.zeros(size, dim))
        self.register_buffer("real", torch.zeros(size, dtype=torch.bool))
        self.register_buffer("at", torch.zeros((), dtype=torch.long))

    def joined(self, keys: Keys) -> Keys:
        return Keys(torch.cat([keys.vectors.float(), self.vectors]), torch.cat([keys.real, self.real]))

    @torch.no_grad()
    def push(self, keys: Keys) -> None:
        newest = Keys(*(part[-len(self.real) :] for part in keys))
        place = (self.at + torch.arange(len(newest.real), device=self.at.device)) % len(self.real)
        self.vectors[place], self.real[place] = newest.vectors.float(), newest.real
        self.at.copy_((self.at + len(newest.real)) % len(self.real))


def mean(losses: Tensor, real: Tensor) -> Tensor:
    """Over the real ones, 0 if there is none."""
    return torch.where(real, losses, 0.0).sum() * (1 / real.sum().clamp(min=1))


def unit(vectors: Tensor, real: Tensor) -> Keys:
    """Vectors [B, E] scaled to length one, in float32."""
    return Keys(F.normalize(vectors.float(), dim=-1), real)


def similarities(asking: Keys, keys: Keys) -> Tensor:
    """Cosines, float32 [B, N], whatever the autocast."""
    with torch.autocast(asking.vectors.device.type, enabled=False):
        return asking.vectors @ keys.vectors.T


def hidden(scores: Tensor, real: Tensor) -> Tensor:
    """Scores [B, N] where keys that are not real can't be chosen."""
    return scores.masked_fill(~real, torch.finfo(scores.dtype).min)
