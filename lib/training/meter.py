"""Numbers of the steps since they were last looked at; they stay on the device until then, so that it never waits."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from accelerate import Accelerator


class Meter:
    """Collects loss, terms and gradient norm of each step."""

    def __init__(self) -> None:
        self.steps: list[dict[str, Any]] = []

    def add(self, *, lr: float, loss: Tensor, terms: dict[str, Tensor], grad_norm: Tensor) -> None:
        self.steps.append({"lr": lr, "loss": loss, "terms": terms, "grad_norm": grad_norm})

    def take(self, accelerator: Accelerator) -> tuple[dict[str, Any], list[float]]:
        """Empty the meter: one transfer from the device, one mean over the processes.

        Returns:
            the row for the history (means over the steps, the rate of the last one; None where not finite), and the loss
            of each step.
        """
        names = list(self.steps[0]["terms"])
        table = torch.stack(
            [
                torch.stack([step["loss"], step["grad_norm"], *(step["terms"][name] for name in names)])
                for step in self.steps
            ]
        )
        shared: Any = accelerator.reduce(table, "mean")
        values: list[list[float]] = shared.tolist()
        loss, norm, *terms = (finite(math.fsum(column) / len(values)) for column in zip(*values, strict=True))
        row = {
            "lr": self.steps[-1]["lr"],
            "loss": loss,
            "terms": dict(zip(names, terms, strict=True)),
            "grad_norm": norm,
        }
        self.steps = []
        return row, [step[0] for step in values]


def finite(value: float) -> float | None:
    """NaN and infinity are not JSON."""
    return value if math.isfinite(value) else None
