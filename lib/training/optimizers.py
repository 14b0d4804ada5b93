"""The optimizer of a run over the groups of its parameters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import torch
from torch import nn

from lib.training.bert_adam import BertAdam
from lib.training.param_groups import adamw, param_groups


def build_optimizer(
    named: Iterable[tuple[str, nn.Parameter]],
    *,
    lr: Mapping[str, float],
    use: Literal["AdamW", "Adam", "BertAdam"] = "AdamW",
    weight_decay: float = 0.01,
    eps: float = 1e-6,
    betas: tuple[float, float] = (0.9, 0.999),
    layer_decay: float = 1.0,
    layer_groups: Sequence[str] = (),
    no_decay: Literal["vectors", "names"] = "vectors",
    tensor_norm: float | None = 1.0,
) -> torch.optim.Optimizer:
    """AdamW (decay apart from the gradient), Adam (decay as a part of it, as torch has it) or ``BertAdam``.

    Args:
        named: as ``Task(model, mix).named_parameters()`` gives them; frozen ones are left out.
        lr: ``backbone`` and ``rest``; with weight_decay, layer_decay, layer_groups and no_decay as of ``param_groups``.
        tensor_norm: BertAdam only: limit of each tensor's gradient.

    Raises:
        ValueError: nothing is left to train.
    """
    named = [(name, parameter) for name, parameter in named if parameter.requires_grad]
    if not named:
        raise ValueError("freeze: every parameter of the stage is frozen, nothing would be trained; freeze less")
    decay = {"weight_decay": weight_decay, "layer_decay": layer_decay, "no_decay": no_decay}
    if use == "AdamW":
        return adamw(named, lr=lr, **decay, layer_groups=layer_groups, eps=eps, betas=betas)
    groups = param_groups(named, lr=lr, **decay, layer_groups=layer_groups)
    if use == "Adam":
        return torch.optim.Adam(groups, eps=eps, betas=betas, fused=True)
    return BertAdam(groups, lr=lr["rest"], eps=eps, betas=betas, max_grad_norm=tensor_norm)
