"""The optimizer of a run, and which parameter learns how fast and decays how much, by its name and shape."""

# torch.optim itself is built on the functions of BertAdam; only their names are private.
# pyright: reportPrivateImportUsage=false

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

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


class BertAdam(torch.optim.Optimizer):
    """Adam as in the pytorch-pretrained-BERT package.

    For each parameter tensor p with gradient g::

        g <- g * min(1, max_grad_norm / (|g| + 1e-6))          each tensor by itself
        m <- b1 m + (1 - b1) g;   v <- b2 v + (1 - b2) g^2     no bias correction
        p <- p - lr * (m / (sqrt(v) + eps) + weight_decay * p)

    Without the correction the first updates are up to 6.5 times the rate, so it wants a warm-up. The rate's course is
    the stage's ``schedule``; the package's own is ``WarmupLinear`` with ``whole: false``. Used by: AIAC rank 17; WeChat
    rank 72 (without clipping). Raises ValueError: a setting out of range. ``params``: tensors or groups; groups may
    have their own values of all arguments below.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
        weight_decay: float = 0.01,
        max_grad_norm: float | None = 1.0,
    ):
        if lr < 0 or eps <= 0 or weight_decay < 0 or not all(0 <= beta < 1 for beta in betas):
            raise ValueError(
                f"BertAdam: lr and weight_decay must not be negative, eps positive and betas in [0, 1), got {lr}, "
                f"{weight_decay}, {eps} and {tuple(betas)}"
            )
        rates = {"lr": lr, "betas": tuple(betas), "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, rates | {"max_grad_norm": max_grad_norm})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """One update of every tensor that has a gradient; the gradients themselves stay as they are."""
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            if parameters := [parameter for parameter in group["params"] if parameter.grad is not None]:
                self._update(group, parameters)
        return loss

    def _update(self, group: dict[str, Any], parameters: list[Tensor]) -> None:
        """In few kernels for all tensors of a group together."""
        (beta1, beta2), limit = group["betas"], group["max_grad_norm"]
        for parameter in parameters:
            if not (state := self.state[parameter]):
                state.update(exp_avg=torch.zeros_like(parameter), exp_avg_sq=torch.zeros_like(parameter))
        grads: Any = [parameter.grad for parameter in parameters]
        if limit is not None:
            norms = torch.stack(torch._foreach_norm(grads))
            grads = torch._foreach_mul(grads, list((limit / (norms + 1e-6)).clamp(max=1.0).unbind()))
        mean = [self.state[parameter]["exp_avg"] for parameter in parameters]
        square = [self.state[parameter]["exp_avg_sq"] for parameter in parameters]
        torch._foreach_mul_(mean, beta1)
        torch._foreach_add_(mean, grads, alpha=1 - beta1)
        torch._foreach_mul_(square, beta2)
        torch._foreach_addcmul_(square, grads, grads, 1 - beta2)
        divisor = torch._foreach_sqrt(square)
        torch._foreach_add_(divisor, group["eps"])
        update = torch._foreach_div(mean, divisor)
        if group["weight_decay"]:
            torch._foreach_add_(update, parameters, alpha=group["weight_decay"])
        torch._foreach_add_(parameters, update, alpha=-group["lr"])
