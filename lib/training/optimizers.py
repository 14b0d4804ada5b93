"""From an optimizer's spec to the optimizer over its parameter groups."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from lib.recipes.specs import OptimizerSpec
from lib.training.bert_adam import BertAdam
from lib.training.param_groups import adamw, param_groups


def optimizer_from(spec: OptimizerSpec, named: Iterable[tuple[str, nn.Parameter]]) -> torch.optim.Optimizer:
    """AdamW (decay apart from the gradient), Adam (decay as a part of it, as torch has it) or ``BertAdam``.

    Args:
        named: as ``Task(model, mix).named_parameters()`` gives them; frozen ones are left out.

    Raises:
        ValueError: nothing is left to train.
    """
    named = [(name, parameter) for name, parameter in named if parameter.requires_grad]
    if not named:
        raise ValueError("freeze: every parameter of the stage is frozen, nothing would be trained; freeze less")
    shared = {
        "lr": spec.lr.model_dump(),
        "weight_decay": spec.weight_decay,
        "layer_decay": spec.layer_decay,
        "layer_groups": spec.layer_groups,
    }
    if spec.use == "AdamW":
        return adamw(named, **shared, no_decay=spec.no_decay, eps=spec.eps, betas=spec.betas)
    groups = param_groups(named, **shared, no_decay=spec.no_decay)
    if spec.use == "Adam":
        return torch.optim.Adam(groups, eps=spec.eps, betas=spec.betas, fused=True)
    return BertAdam(groups, lr=spec.lr.rest, eps=spec.eps, betas=spec.betas, max_grad_norm=spec.tensor_norm)
