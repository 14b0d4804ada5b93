"""One batch shared out among processes: each runs the model on its share, and what comes of it is put together again, so
that batch statistics and objectives see what one process would see. In evaluation each process has the batch whole."""

from collections.abc import Callable
from inspect import ismethod
from types import MethodType
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from lib.data.batch import Batch, Sees
from lib.models.video_model import Outputs, States

OF_ALL = ("text_index", "frame_index", "word_table")  # of outputs, the same in every process


def run(model: nn.Module, batch: Batch, *sees: Sees) -> Outputs:
    """What the model says of the whole batch, its share of which is all that it is shown."""
    if batch.own is None:
        return model(batch, *sees)
    return Whole(model(batch.own, *sees), batch=batch.only(*sees or ("both",)))  # pyright: ignore[reportReturnType]


def run_again(model: nn.Module, outputs: Outputs) -> Outputs:
    """What another model says of the same, pictures encoded already."""
    if isinstance(outputs, Whole):
        return Whole(model(outputs.own.batch), batch=outputs.batch)  # pyright: ignore[reportReturnType]
    return model(outputs.batch)


def rejoin(outputs: Outputs, text: Tensor, frames: Tensor) -> Outputs:
    """What the model says of other pairs: the text of these rows and the frames of those, int64 [N]."""
    assert outputs.join is not None and outputs.text is not None and outputs.frames is not None
    if not isinstance(outputs, Whole):
        return outputs.join(outputs.text.take(text), outputs.frames.take(frames))
    own = outputs.join(outputs.text.take(mine(text)), outputs.frames.take(mine(frames)))
    return Whole(own)  # pyright: ignore[reportReturnType]


class Whole:
    """Outputs or states of a whole batch, of which ``own`` are this process's. A tensor is gathered when it is first read,
    which all processes must do in the same order."""

    def __init__(self, own: Outputs | States, **known: Any):
        vars(self).update(own=own, **known)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.own, name)
        if isinstance(value, States):
            value = Whole(value)
        elif isinstance(value, Tensor) and name not in OF_ALL:
            value = whole(value)
        elif ismethod(value):
            value = MethodType(value.__func__, self)
        vars(self)[name] = value
        return value


def jointly(norm: nn.Module, normalise: Callable[..., Tensor], *shares: Tensor | None) -> Tensor:
    """What ``normalise`` makes of the tensors [B, ...] of the whole batch, for this process's rows, while ``norm`` trains."""
    if not norm.training or processes() == 1:
        return normalise(*shares)
    return mine(normalise(*(None if share is None else whole(share) for share in shares)))


def processes() -> int:
    """How many share a batch; 1 outside of a launcher."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def mine(value: Tensor) -> Tensor:
    """This process's rows."""
    return value if processes() == 1 else value[dist.get_rank() :: processes()]


def whole(share: Tensor) -> Tensor:
    """Rows of all processes in the order of the whole batch, each with its gradient from all."""
    if processes() == 1 or share.numel() == 0:
        return share if processes() == 1 else share.new_empty(len(share) * processes(), *share.shape[1:])
    return _Whole.apply(share)


class _Whole(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, share: Tensor) -> Tensor:
        share = share.contiguous()
        parts = [torch.empty_like(share) for _ in range(processes())]
        dist.all_gather(parts, share)
        return torch.stack(parts, dim=1).flatten(0, 1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        gradient = gradients[0].clone(memory_format=torch.contiguous_format)
        dist.all_reduce(gradient)
        return mine(gradient)
