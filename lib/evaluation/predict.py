"""Embeddings or logits of a set of videos, once per video, in the order of the rows asked for."""

from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Any, Literal

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import nn

from lib.data.batch import Batch

Precision = Literal["trained", "float32", "bfloat16", "float16"]


def autocast(accelerator: Accelerator, precision: Precision = "trained") -> AbstractContextManager[Any]:
    """As the model is trained, or in a precision of its own."""
    if precision == "trained":
        return accelerator.autocast()
    return torch.autocast(accelerator.device.type, getattr(torch, precision), enabled=precision != "float32")


@torch.inference_mode()
def predict(
    model: nn.Module,
    batches: Iterable[Batch],
    accelerator: Accelerator,
    what: Literal["embedding", "logits", "pooled"],
    precision: Precision = "trained",
) -> tuple[np.ndarray, np.ndarray]:
    """Run a model over videos without touching its mode for longer than the call. With several processes each takes
    every n-th batch; all get the whole result. Returns rows int64 [N] ascending, values float32 [N, E] or [N, C] just
    as the model gives them, of any length."""
    was_training = model.training
    model.eval()
    rows, values = [], []
    for number, batch in enumerate(batches):
        if number % accelerator.num_processes != accelerator.process_index:
            continue
        with autocast(accelerator, precision):
            outputs = model(batch.to(accelerator.device))
        values.append(getattr(outputs, what).float().cpu().numpy())
        rows.append(batch.rows.numpy())
    model.train(was_training)
    if accelerator.num_processes > 1:
        rows, values = gather_object(rows), gather_object(values)
    all_rows, all_values = np.concatenate(rows), np.concatenate(values)
    order = np.argsort(all_rows)
    return all_rows[order], all_values[order]
