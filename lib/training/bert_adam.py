"""The Adam of the first BERT implementations: clipped tensor by tensor, without bias correction."""

# torch.optim itself is built on these functions; only their names are private.
# pyright: reportPrivateImportUsage=false

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal

import torch
from torch import Tensor

from lib.training.schedule import warmup_linear


class BertAdam(torch.optim.Optimizer):
    """Adam as in the pytorch-pretrained-BERT package.

    For each parameter tensor p with gradient g and its own count s of updates so far::

        g <- g * min(1, max_grad_norm / (|g| + 1e-6))          each tensor by itself
        m <- b1 m + (1 - b1) g;   v <- b2 v + (1 - b2) g^2     no bias correction
        p <- p - lr * schedule(s / total_steps) * (m / (sqrt(v) + eps) + weight_decay * p)

    Without the correction the first updates are up to 6.5 times the rate, so it wants a warm-up. In a recipe the rate's
    course is the stage's ``schedule`` (``WarmupLinear`` with ``whole: false`` is this package's own) and the one here
    stays constant. Used by: AIAC rank 17; WeChat rank 72 (without clipping).

    Args:
        params: tensors or groups; groups may have their own values of all arguments below.
        lr: rate that the schedule multiplies.
        betas, eps, weight_decay: as above.
        max_grad_norm: limit of each tensor's L2 norm; None: no clipping.
        schedule: constant, or warmup_linear with a share ``warmup`` of ``total_steps``.

    Raises:
        ValueError: a setting out of range, or warmup_linear without its length.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
        weight_decay: float = 0.01,
        max_grad_norm: float | None = 1.0,
        schedule: Literal["constant", "warmup_linear"] = "constant",
        warmup: float = 0.1,
        total_steps: int | None = None,
    ) -> None:
        if lr < 0 or eps <= 0 or weight_decay < 0 or not all(0 <= beta < 1 for beta in betas):
            raise ValueError(
                f"BertAdam: lr and weight_decay must not be negative, eps positive and betas in [0, 1), got {lr}, "
                f"{weight_decay}, {eps} and {tuple(betas)}"
            )
        if max_grad_norm is not None and max_grad_norm <= 0:
            raise ValueError(f"BertAdam: max_grad_norm must be positive, or null for no clipping; got {max_grad_norm}")
        if schedule not in ("constant", "warmup_linear"):
            raise ValueError(f"BertAdam: schedule must be constant or warmup_linear, got {schedule!r}")
        if schedule == "warmup_linear" and (not total_steps or total_steps < 1 or not 0 <= warmup < 1):
            raise ValueError(
                f"BertAdam: warmup_linear needs total_steps of at least 1 and warmup in [0, 1), got {total_steps} and {warmup}"
            )
        defaults = {
            "lr": lr, "betas": tuple(betas), "eps": eps, "weight_decay": weight_decay, "max_grad_norm": max_grad_norm,
            "schedule": schedule, "warmup": warmup, "total_steps": total_steps,
        }  # fmt: skip
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """One update of every tensor that has a gradient; the gradients themselves stay as they are."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            together: dict[tuple[Any, ...], list[Tensor]] = {}
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state.update(step=0, exp_avg=torch.zeros_like(parameter), exp_avg_sq=torch.zeros_like(parameter))
                key = (state["step"], parameter.device, parameter.dtype)
                together.setdefault(key, []).append(parameter)
                state["step"] += 1
            for (done, *_), parameters in together.items():
                self._update(group, parameters, done)
        return loss

    def _update(self, group: dict[str, Any], parameters: list[Tensor], done: int) -> None:
        """Tensors that have seen equally many updates, in few kernels for all of them together."""
        (beta1, beta2), rate, limit = group["betas"], group["lr"], group["max_grad_norm"]
        if group["schedule"] == "warmup_linear":
            rate = rate * warmup_linear(done / group["total_steps"], group["warmup"])
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
        torch._foreach_add_(parameters, update, alpha=-rate)
