"""Adversarial training on the word embeddings: a second pass where the words are moved to where the loss is worse.

Both are called with ``again``, which runs forward and backward over the batch once more and adds to the gradients.
Afterwards the parameters are bit for bit what they were, and the gradients are those of the clean and the last
adversarial pass together. Specification: section 2.3 of the WeChat 2022 systems.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn


class Adversary:
    """Finds the parameters to disturb: trainable, with a gradient, their name containing ``parameters``."""

    parameters: str

    def targets(self, module: nn.Module) -> list[nn.Parameter]:
        """
        Raises:
            ValueError: no trainable parameter has such a name.
        """
        named = [
            parameter
            for name, parameter in module.named_parameters()
            if self.parameters in name and parameter.requires_grad
        ]
        if not named:
            raise ValueError(f"adversarial.parameters: no trainable parameter has {self.parameters!r} in its name")
        return [parameter for parameter in named if parameter.grad is not None]

    def __call__(self, module: nn.Module, again: Callable[[], object]) -> None:
        raise NotImplementedError


class Fgm(Adversary):
    """Fast gradient method: one step of length ``epsilon`` along the gradient. Costs a second forward and backward.

    Args:
        epsilon: L2 norm of the disturbance over the whole table.
        parameters: which parameters, by a part of their name.

    Used by: WeChat rank 1, 3, 5, 72 (every step of finetuning).
    """

    def __init__(self, *, epsilon: float = 1.0, parameters: str = "word_embeddings") -> None:
        self.epsilon, self.parameters = epsilon, parameters

    def __call__(self, module: nn.Module, again: Callable[[], object]) -> None:
        targets = self.targets(module)
        own = [parameter.data.clone() for parameter in targets]
        try:
            for parameter in targets:
                parameter.data.add_(_along(parameter.grad, self.epsilon))
            again()
        finally:
            for parameter, data in zip(targets, own, strict=True):
                parameter.data.copy_(data)


class Pgd(Adversary):
    """Projected gradient descent: ``steps`` steps of length ``alpha``, kept within ``epsilon`` of the start.

    Costs ``steps`` more forwards and backwards; only the last one's gradient is kept.

    Args:
        epsilon: radius of the L2 ball around the original table.
        alpha: length of a step.
        steps: number of steps.
        parameters: which parameters, by a part of their name.
    """

    def __init__(
        self, *, epsilon: float = 1.0, alpha: float = 0.3, steps: int = 3, parameters: str = "word_embeddings"
    ) -> None:
        self.epsilon, self.alpha, self.steps, self.parameters = epsilon, alpha, steps, parameters

    def __call__(self, module: nn.Module, again: Callable[[], object]) -> None:
        targets = self.targets(module)
        own = [parameter.data.clone() for parameter in targets]
        gradients = [parameter.grad for parameter in module.parameters() if parameter.grad is not None]
        clean = [(gradient, gradient.clone()) for gradient in gradients]
        try:
            for step in range(1, self.steps + 1):
                for parameter, start in zip(targets, own, strict=True):
                    parameter.data.add_(_along(parameter.grad, self.alpha))
                    parameter.data.copy_(start + _within(parameter.data - start, self.epsilon))
                for gradient, saved in clean:  # in place: under DDP gradients are views of its buckets
                    gradient.copy_(saved) if step == self.steps else gradient.zero_()
                again()
        finally:
            for parameter, data in zip(targets, own, strict=True):
                parameter.data.copy_(data)


def _along(gradient: Tensor | None, length: float) -> Tensor:
    """A step of ``length`` along the gradient; none where its norm is 0 or not finite. Never waits for the device."""
    assert gradient is not None  # targets() asked for it
    norm = _norm(gradient)
    usable = torch.isfinite(norm) & (norm > 0)
    return torch.where(usable, length * gradient / norm, torch.zeros_like(gradient))


def _within(offset: Tensor, radius: float) -> Tensor:
    norm = _norm(offset)
    return torch.where(norm > radius, radius * offset / norm, offset)


def _norm(tensor: Tensor) -> Tensor:
    """Norm of the rows' norms: adding up 16 million squares at once in float32 is off by 6e-4."""
    return torch.linalg.vector_norm(torch.linalg.vector_norm(tensor, dim=-1))
