"""The Adam of the first BERT implementations: clipped tensor by tensor, without bias correction."""

# torch.optim itself is built on these functions; only their names are private.
# pyright: reportPrivateImportUsage=false

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor


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
