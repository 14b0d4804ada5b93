"""Embeddings or logits of a set of videos, once per video, in the order of the rows asked for."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import nn

from lib.features.loader import EvalLoader


@torch.inference_mode()
def predict(
    model: nn.Module, loader: EvalLoader, accelerator: Accelerator, what: Literal["embedding", "logits", "pooled"]
) -> tuple[np.ndarray, np.ndarray]:
    """Run a model over videos without touching its mode for longer than the call.

    With several processes each takes every n-th batch; all get the whole result.

    Returns:
        rows int64 [N] ascending, values float32 [N, E] (embeddings and pooled vectors L2-normalised) or [N, C].
    """
    was_training = model.training
    model.eval()
    rows, values = [], []
    for number, batch in enumerate(loader):
        if number % accelerator.num_processes != accelerator.process_index:
            continue
        with accelerator.autocast():
            outputs = model(batch.to(accelerator.device))
        value = getattr(outputs, what).float()
        values.append((nn.functional.normalize(value, dim=-1) if what != "logits" else value).cpu().numpy())
        rows.append(batch.rows.numpy())
    model.train(was_training)
    if accelerator.num_processes > 1:
        rows, values = gather_object(rows), gather_object(values)
    all_rows, all_values = np.concatenate(rows), np.concatenate(values)
    order = np.argsort(all_rows)
    return all_rows[order], all_values[order]


def pair_cosines(rows: np.ndarray, vectors: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Cosines of pairs of unit vectors.

    Args:
        rows: int64 [N] ascending, the store row of each vector.
        vectors: float32 [N, E], unit length.
        pairs: int64 [P, 2] store rows.

    Returns:
        float64 [P].
    """
    left, right = (np.searchsorted(rows, pairs[:, side]) for side in (0, 1))
    return np.einsum("pe,pe->p", vectors[left].astype(np.float64), vectors[right].astype(np.float64))
