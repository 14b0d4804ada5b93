"""Memory and speed of the layers that transformers makes, in whichever slot of a task they are."""

from functools import partial
from typing import Any

from torch import nn
from torch.utils.checkpoint import checkpoint


def prepare_layers(task: nn.Module, *, checkpointing: bool = False, compiled: bool = False) -> int:
    """Change the layers in place; names of parameters stay. Returns how many there are.

    Args:
        checkpointing: keep the inputs of a layer only, and run it again in the backward pass, with the same dropout.
        compiled: by ``torch.compile``, one program for all layers of a kind and all lengths of their sequences.
    """
    if not (checkpointing or compiled):
        return 0
    from transformers.modeling_layers import GradientCheckpointingLayer

    layers: list[Any] = [module for module in task.modules() if isinstance(module, GradientCheckpointingLayer)]
    for layer in layers:
        if checkpointing:
            layer.gradient_checkpointing = True
            layer._gradient_checkpointing_func = partial(checkpoint, use_reentrant=False)
        if compiled:
            layer.compile(dynamic=True)
    return len(layers)
