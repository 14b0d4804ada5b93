"""Adversarial training: a second pass where word embeddings, or all weights, are moved to where the loss is worse.

Each is called with ``again``, which runs forward and backward once more and adds to the gradients. Afterwards the
parameters are bit for bit what they were. Specification: section 2.3 of the WeChat 2022 systems.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor, nn


class Adversary(ABC):
    """Finds the parameters to disturb: trainable, with a gradient, their name containing ``parameters``."""

    parameters: str

    def targets(self, module: nn.Module) -> list[nn.Parameter]:
        """Raises ValueError: no trainable parameter has such a name."""
        named = [p for name, p in module.named_parameters() if self.parameters in name and p.requires_grad]
        if not named:
            raise ValueError(f"adversarial.parameters: no trainable parameter has {self.parameters!r} in its name")
        return [parameter for parameter in named if parameter.grad is not None]

    @contextmanager
    def disturbed(self, module: nn.Module) -> Iterator[list[tuple[nn.Parameter, Tensor]]]:
        """Each target and a copy of it; afterwards it is bit for bit what it was, also after an error."""
        targets = [(parameter, parameter.data.clone()) for parameter in self.targets(module)]
        try:
            yield targets
        finally:
            for parameter, own in targets:
                parameter.data.copy_(own)

    @abstractmethod
    def moved(self, now: Tensor, start: Tensor, gradient: Tensor) -> Tensor:
        """Where a step takes a parameter from where it is now."""

    def __call__(self, module: nn.Module, again: Callable[[], object]) -> None:
        """Add the gradients of the disturbed module to those that are there. ``again``: forward and backward of the
        same batch; adds to the gradients."""
        with self.disturbed(module) as targets:
            self._move(targets)
            again()

    def _move(self, targets: list[tuple[nn.Parameter, Tensor]]) -> None:
        for parameter, start in targets:
            assert parameter.grad is not None  # targets() asked for it
            parameter.data.copy_(self.moved(parameter.data, start, parameter.grad))


@dataclass(kw_only=True)
class Fgm(Adversary):
    """Fast gradient method: one step of length ``epsilon`` along the gradient. Costs a second forward and backward.
    Used by: WeChat rank 72 (every step of finetuning). ``epsilon``: L2 norm of the disturbance over the whole table."""

    epsilon: PositiveFloat = 1.0
    parameters: str = "word_embeddings"

    def moved(self, now: Tensor, start: Tensor, gradient: Tensor) -> Tensor:
        return start + _along(gradient, self.epsilon)


@dataclass(kw_only=True)
class Pgd(Adversary):
    """Projected gradient descent: ``steps`` steps of length ``alpha``, kept within ``epsilon`` of the start. Costs
    ``steps`` more forwards and backwards; only the last one's gradient is kept. ``epsilon``: radius of the L2 ball
    around the original table."""

    epsilon: PositiveFloat = 1.0
    alpha: PositiveFloat = 0.3
    steps: PositiveInt = 3
    parameters: str = "word_embeddings"

    def moved(self, now: Tensor, start: Tensor, gradient: Tensor) -> Tensor:
        offset = now + _along(gradient, self.alpha) - start
        norm = _norm(offset)
        return start + torch.where(norm > self.epsilon, self.epsilon * offset / norm, offset)

    def __call__(self, module: nn.Module, again: Callable[[], object]) -> None:
        gradients = [parameter.grad for parameter in module.parameters() if parameter.grad is not None]
        clean = [(gradient, gradient.clone()) for gradient in gradients]
        with self.disturbed(module) as targets:
            for step in range(1, self.steps + 1):
                self._move(targets)
                for gradient, saved in clean:  # in place: under DDP gradients are views of its buckets
                    gradient.copy_(saved) if step == self.steps else gradient.zero_()
                again()


@dataclass(kw_only=True)
class Awp(Adversary):
    """Adversarial weight perturbation: every weight moves by at most a share of itself. Costs a second forward and backward.

    Each tensor makes one step along its gradient, as long as ``lr`` times the tensor's own norm, and is then clipped
    number by number to within ``epsilon`` times its size around where it was; a number that is 0 stays. After Wu et al.
    2020 (arXiv:2004.05884).

    Args:
        epsilon: largest change of a number, as a share of it.
        lr: length of the step before the clip, as a share of the tensor's norm.
        parameters: which parameters, by a part of their name; ``weight`` are all matrices and the scales of norms.
    """

    epsilon: PositiveFloat = 0.001
    lr: PositiveFloat = 1.0
    parameters: str = "weight"

    def moved(self, now: Tensor, start: Tensor, gradient: Tensor) -> Tensor:
        reach = self.epsilon * start.abs()
        return torch.clamp(start + _along(gradient, self.lr * _norm(start)), start - reach, start + reach)


def _along(gradient: Tensor, length: float | Tensor) -> Tensor:
    """A step of ``length`` along the gradient; none where its norm is 0 or not finite. Never waits for the device."""
    norm = _norm(gradient)
    usable = torch.isfinite(norm) & (norm > 0)
    return torch.where(usable, length * gradient / norm, torch.zeros_like(gradient))


def _norm(tensor: Tensor) -> Tensor:
    """Norm of the rows' norms: adding up 16 million squares at once in float32 is off by 6e-4."""
    return torch.linalg.vector_norm(torch.linalg.vector_norm(tensor, dim=-1))
