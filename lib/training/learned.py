"""What training has learned so far, as one thing to copy, save and put back; and the best of it by a score."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from lib.training.averaging import Averaging


class Learned:
    """Everything an update changes: weights of model and objectives, optimizer moments, the running average."""

    def __init__(self, task: nn.Module, optimizer: torch.optim.Optimizer, averaging: Averaging | None) -> None:
        self.task, self.optimizer, self.averaging = task, optimizer, averaging

    def state_dict(self) -> dict[str, Any]:
        """Refers to the live tensors; ``copy`` does not."""
        averaging = None if self.averaging is None else self.averaging.state_dict()
        return {"task": self.task.state_dict(), "optimizer": self.optimizer.state_dict(), "averaging": averaging}

    def copy(self) -> dict[str, Any]:
        return copy.deepcopy(self.state_dict())

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.task.load_state_dict(state["task"])
        # an optimizer takes the tensors it is given and writes into them, which would spoil a copy that is kept
        self.optimizer.load_state_dict(copy.deepcopy(state["optimizer"]))
        if self.averaging is not None:
            self.averaging.load_state_dict(state["averaging"])

    def averaged(self) -> AbstractContextManager[None]:
        """Inside, the task holds the weights that are evaluated and exported: the average where there is one."""
        return nullcontext() if self.averaging is None else self.averaging.applied()

    def weights(self) -> dict[str, Tensor]:
        """A copy, in main memory, of what the task holds now."""
        return {name: tensor.detach().to("cpu", copy=True) for name, tensor in self.task.state_dict().items()}

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        self.task.load_state_dict(weights)


class Best:
    """The best score so far and the weights that earned it. Ties go to the later step, as published (AIAC rank 1, A4)."""

    def __init__(self, higher_is_better: bool, keep_weights: bool) -> None:
        self.higher_is_better, self.keep_weights = higher_is_better, keep_weights
        self.step = 0
        self.score: float | None = None
        self.weights: dict[str, Tensor] | None = None

    def offer(self, step: int, score: float, weights: Callable[[], dict[str, Tensor]]) -> None:
        """Take the weights if the score is at least as good as any before; a score that is not finite never is."""
        if not math.isfinite(score):
            return
        if self.score is None or (score >= self.score if self.higher_is_better else score <= self.score):
            self.step, self.score = step, score
            self.weights = weights() if self.keep_weights else None
