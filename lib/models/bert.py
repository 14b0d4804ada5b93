"""The pieces of BERT that the systems share, built from transformers' own modules.

transformers is imported inside the functions: it takes seconds, and NeXtVLAD does not need it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from transformers import BertConfig
    from transformers.models.bert.modeling_bert import BertEmbeddings, BertEncoder, BertPooler

M = TypeVar("M", bound=nn.Module)
PUBLISHED_STD, PUBLISHED_WIDTH = 0.02, 1024


def init_std(width: int) -> float:
    """Standard deviation of BERT's initial weights: the published 0.02 from 768 upwards, and for small random
    stand-ins the same signal size, which goes with 1/sqrt(width) (0.08 at 64).
    """
    return PUBLISHED_STD if width >= 768 else PUBLISHED_STD * math.sqrt(PUBLISHED_WIDTH / width)


def init_like_bert(module: nn.Module, std: float) -> None:
    """N(0, std²) for every linear map and table, zero for biases and padding rows; layer norms stay at (1, 0)."""
    for part in module.modules():
        if isinstance(part, (nn.Linear, nn.Embedding)):
            nn.init.normal_(part.weight, 0.0, std)
        if isinstance(part, nn.Linear) and part.bias is not None:
            nn.init.zeros_(part.bias)
        if isinstance(part, nn.Embedding) and part.padding_idx is not None:
            with torch.no_grad():
                part.weight[part.padding_idx].zero_()


def embeddings(config: BertConfig) -> BertEmbeddings:
    """Word, position and token-type tables, summed, layer norm, dropout."""
    from transformers.models.bert.modeling_bert import BertEmbeddings

    return _initialised(BertEmbeddings(config), config)


def encoder(config: BertConfig) -> BertEncoder:
    """The stack of post-norm layers, on torch's fused attention."""
    from transformers.models.bert.modeling_bert import BertEncoder

    return _initialised(BertEncoder(config), config)


def pooler(config: BertConfig) -> BertPooler:
    """tanh of a linear map of the first position."""
    from transformers.models.bert.modeling_bert import BertPooler

    return _initialised(BertPooler(config), config)


def key_mask(mask: Tensor) -> Tensor:
    """Which keys may be attended to, as fused attention wants it: bool [B, L] -> bool [B, 1, 1, L].

    A row without a single valid key would divide zero by zero; it attends everywhere instead, and the pooling, which
    has the true mask, drops it. Equal to the originals' additive (1 - m)·(-10000) for every row that has a valid key.
    """
    return (mask | ~mask.any(dim=1, keepdim=True))[:, None, None, :]


def _initialised(module: M, config: BertConfig) -> M:
    init_like_bert(module, config.initializer_range)
    return module
