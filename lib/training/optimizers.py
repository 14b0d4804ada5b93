"""The optimizer of a run, and which parameter learns how fast and decays how much, by its name and shape."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from lib.training.bert_adam import BertAdam

# "backbone" is what starts from pretrained weights and has the small rate of fine-tuning: the encoder slots, and the heads
# of masked tokens and masked frames, as in AIAC rank 1, whose rule is "the name contains roberta". Everything else is "rest".
BACKBONE = (r"^model\.(text|images|frames|fusion)\.", r"^mix\.terms\.(tokens|frames)\.")


def param_groups(
    named: Iterable[tuple[str, nn.Parameter]],
    *,
    lr: float | Mapping[str, float],
    weight_decay: float = 0.01,
    no_decay: Literal["vectors", "names"] = "vectors",
    layer_groups: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """Groups for a torch optimizer, one per learning rate and decay. Returns dictionaries with ``params``, ``lr``,
    ``weight_decay`` and ``names``, in order of first occurrence.

    Args:
        named: names and parameters, as ``Task(model, mix).named_parameters()`` gives them; frozen ones are left out.
        weight_decay: for matrices. Biases, scales of normalisation layers and single numbers (at most one dimension)
            never decay; on the recorded systems that is the rule "name contains bias or LayerNorm.weight".
        no_decay: vectors as above; names: parameters whose name contains ``bias`` or ``LayerNorm.weight``, as AIAC rank 17
            has it, so that other norms' scales and a learnable first slot decay.
        layer_groups: regular expressions, from input to output; the group that first finds a name has ``lr`` times
            1/2, ..., 1, evenly in ratio (fastai's ``even_mults``); a name that none finds has ``lr``. Rank 6 claims it for
            its pairwise stage; its code has it in a stage that never ran.
    """
    rates = {"backbone": lr, "rest": lr} if isinstance(lr, int | float) else dict(lr)
    groups: dict[tuple, dict[str, Any]] = {}
    factors = np.geomspace(0.5, 1.0, len(layer_groups)).tolist()
    for name, parameter in ((name, parameter) for name, parameter in named if parameter.requires_grad):
        part = "backbone" if any(re.search(pattern, name) for pattern in BACKBONE) else "rest"
        decays = parameter.ndim > 1 if no_decay == "vectors" else not re.search(r"bias|LayerNorm\.weight", name)
        place = next((i for i, pattern in enumerate(layer_groups) if re.search(pattern, name)), None)
        rate = rates[part] * (1.0 if place is None else factors[place])
        new = {"params": [], "names": [], "lr": rate, "weight_decay": weight_decay if decays else 0.0}
        group = groups.setdefault((part, decays, place), new)
        group["params"].append(parameter)
        group["names"].append(name)
    return list(groups.values())


def build_optimizer(
    named: Iterable[tuple[str, nn.Parameter]],
    *,
    lr: float | Mapping[str, float],
    use: Literal["AdamW", "Adam", "BertAdam"] = "AdamW",
    weight_decay: float = 0.01,
    eps: float = 1e-6,
    layer_groups: Sequence[str] = (),
    no_decay: Literal["vectors", "names"] = "vectors",
    tensor_norm: float | None = 1.0,
) -> torch.optim.Optimizer:
    """AdamW (decay apart from the gradient), Adam (decay as a part of it, as torch has it) or ``BertAdam``.

    torch's are in their fused form: one kernel instead of ten small ones per parameter. The original's AdamW
    (transformers 4) adds epsilon before the bias correction and decays after the step, which differs in the first steps
    only (A7-13). Raises ValueError: nothing is left to train. ``tensor_norm``: BertAdam only: limit of each tensor's
    gradient.
    """
    named = [(name, parameter) for name, parameter in named if parameter.requires_grad]
    if not named:
        raise ValueError("freeze: every parameter of the stage is frozen, nothing would be trained; freeze less")
    groups = param_groups(named, lr=lr, weight_decay=weight_decay, no_decay=no_decay, layer_groups=layer_groups)
    if use == "BertAdam":
        return BertAdam(groups, lr=groups[0]["lr"], eps=eps, max_grad_norm=tensor_norm)
    kind = {"AdamW": torch.optim.AdamW, "Adam": torch.optim.Adam}[use]
    return kind(groups, eps=eps, fused=True)
