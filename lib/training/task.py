"""A model and the objectives it is trained on, behind one ``forward``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

if TYPE_CHECKING:
    from lib.data.batch import Batch


class Task(nn.Module):
    """What is trained, wrapped for several devices and saved as a whole; its parameters are ``model.*`` and ``mix.*``."""

    model: nn.Module
    mix: Any  # an ObjectiveMix

    def __init__(self, model: nn.Module, mix: nn.Module) -> None:
        super().__init__()
        self.model, self.mix = model, mix

    def forward(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """The weighted total and each named term, scalars."""
        return self.mix(self.model, batch)
