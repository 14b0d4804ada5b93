"""The optimizer of a run, and which parameter learns how fast and decays how much, by its name and shape."""

import re
from collections import defaultdict
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
    layer_decay: float = 1.0,
    backbone: Sequence[str] = BACKBONE,
    no_decay: Literal["vectors", "names"] = "vectors",
    layer_groups: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """Groups for a torch optimizer, one per learning rate and decay. Returns dictionaries with ``params``, ``lr``,
    ``weight_decay`` and ``names``, in order of first occurrence.

    Args:
        named: names and parameters, as ``Task(model, mix).named_parameters()`` gives them; frozen ones are left out.
        weight_decay: for matrices. Biases, scales of normalisation layers and single numbers (at most one dimension)
            never decay; on the recorded systems that is the rule "name contains bias or LayerNorm.weight".
        layer_decay: factor per layer from the top of each stack of layers down, inside the backbone, as in timm. 1.0 is
            the published behaviour: AIAC rank 1 configured 0.975 in code that never ran (quirk A7-12).
        no_decay: vectors as above; names: parameters whose name contains ``bias`` or ``LayerNorm.weight``, as AIAC rank 17
            has it, so that other norms' scales and a learnable first slot decay.
        layer_groups: regular expressions, from input to output; the group that first finds a name has ``lr`` times
            1/2, ..., 1, evenly in ratio (fastai's ``even_mults``); a name that none finds has ``lr``. Rank 6 claims it for
            its pairwise stage; its code has it in a stage that never ran.
    """
    rates = {"backbone": lr, "rest": lr} if isinstance(lr, int | float) else dict(lr)
    named = [(name, parameter) for name, parameter in named if parameter.requires_grad]
    depths = _depths(name for name, _ in named)
    groups: dict[tuple, dict[str, Any]] = {}
    factors = np.geomspace(0.5, 1.0, len(layer_groups)).tolist()
    for name, parameter in named:
        part = "backbone" if any(re.search(pattern, name) for pattern in backbone) else "rest"
        below = _layers_above(name, depths) if part == "backbone" and layer_decay != 1.0 else 0
        decays = parameter.ndim > 1 if no_decay == "vectors" else not re.search(r"bias|LayerNorm\.weight", name)
        place = next((i for i, pattern in enumerate(layer_groups) if re.search(pattern, name)), None)
        rate = rates[part] * layer_decay**below * (1.0 if place is None else factors[place])
        new = {"params": [], "names": [], "lr": rate, "weight_decay": weight_decay if decays else 0.0}
        group = groups.setdefault((part, below, decays, place), new)
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
    betas: tuple[float, float] = (0.9, 0.999),
    layer_decay: float = 1.0,
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
    groups = param_groups(
        named, lr=lr, weight_decay=weight_decay, layer_decay=layer_decay, no_decay=no_decay, layer_groups=layer_groups
    )
    if use == "BertAdam":
        return BertAdam(groups, lr=groups[0]["lr"], eps=eps, betas=betas, max_grad_norm=tensor_norm)
    kind = {"AdamW": torch.optim.AdamW, "Adam": torch.optim.Adam}[use]
    return kind(groups, eps=eps, betas=betas, fused=True)


LAYER = re.compile(r"^(.*\.layers?)\.(\d+)\.")


def _depths(names: Iterable[str]) -> dict[str, int]:
    """Number of layers of each stack, by the name in front of the layer number."""
    depths: dict[str, int] = defaultdict(int)
    for name in names:
        if found := LAYER.match(name):
            depths[found[1]] = max(depths[found[1]], int(found[2]) + 1)
    return dict(depths)


def _layers_above(name: str, depths: Mapping[str, int]) -> int:
    """How many steps below the top a parameter lies: the last layer is 1, embeddings lie below the first layer, as in timm."""
    if found := LAYER.match(name):
        return depths[found[1]] - int(found[2])
    if "embedding" in name or name.startswith(("model.images.", "model.frames.")):
        return max(depths.values(), default=0) + 1
    return 0
