"""Text encoders: from token ids to states."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from lib.data.batch import Batch
from lib.models import bert
from lib.models.pretrained import resolve_backbone
from lib.models.video_model import States


class Embeddings(nn.Module):
    """BERT's embedding block alone: the text half of a single-stream model, whose layers are the fusion's.

    Positions count within the text, wherever the fusion puts it.
    Used by: AIAC rank 1 and the other single-stream systems.

    Args:
        backbone: whose tables (see ``pretrained``).
        vocab_size: size of the token set.
        dropout: replaces the backbone's.
    """

    def __init__(self, backbone: str, vocab_size: int, dropout: float | None = None) -> None:
        super().__init__()
        resolved = resolve_backbone(backbone, vocab_size=vocab_size, dropout=dropout)
        self.embeddings = bert.embeddings(resolved.config)
        resolved.load_into(self.embeddings, "bert.embeddings.")
        self.output_dim: int = resolved.config.hidden_size

    @property
    def word_table(self) -> Tensor:
        return self.embeddings.word_embeddings.weight

    def forward(self, batch: Batch) -> States:
        return States(self.embeddings(input_ids=batch.input_ids, token_type_ids=batch.token_types), batch.text_mask)


class BertText(nn.Module):
    """The whole BERT on the text alone.

    ``pooled`` is the tanh pooler's output of the first token or that token's state itself; None without the pooler.
    Used by: the WeChat baseline and the dual-stream systems; AIAC rank 17 takes the first state in its first model and
    a layer norm without token types in its second.

    Args:
        backbone: architecture and weights (see ``pretrained``).
        vocab_size: size of the token set.
        pooler: whether to make the pooled vector; without it the encoder carries no pooler weights.
        dropout: replaces the backbone's.
        pool: what ``pooled`` is: tanh for the pooler's output, first for the first token's state (no pooler weights).
        norm: a layer norm of its own (eps 1e-5) on the last states.
        token_types: false gives every token type 0.

    Raises:
        ValueError: an unknown ``pool``.
    """

    def __init__(
        self,
        backbone: str,
        vocab_size: int,
        pooler: bool = True,
        dropout: float | None = None,
        pool: Literal["tanh", "first"] = "tanh",
        norm: bool = False,
        token_types: bool = True,
    ) -> None:
        super().__init__()
        if pool not in ("tanh", "first"):
            raise ValueError(f"BertText: pool must be tanh or first, got {pool!r}")
        resolved = resolve_backbone(backbone, vocab_size=vocab_size, dropout=dropout)
        self.embeddings = bert.embeddings(resolved.config)
        self.encoder = bert.encoder(resolved.config)
        self.pooler = bert.pooler(resolved.config) if pooler and pool == "tanh" else None
        for name in ("embeddings", "encoder", "pooler"):
            if getattr(self, name) is not None:
                resolved.load_into(getattr(self, name), f"bert.{name}.")
        self.norm = nn.LayerNorm(resolved.config.hidden_size, eps=1e-5) if norm else None
        self.pool, self.token_types = pool, token_types
        self.output_dim: int = resolved.config.hidden_size

    @property
    def word_table(self) -> Tensor:
        return self.embeddings.word_embeddings.weight

    def forward(self, batch: Batch) -> States:
        types = batch.token_types if self.token_types else torch.zeros_like(batch.token_types)
        hidden = self.embeddings(input_ids=batch.input_ids, token_type_ids=types)
        hidden = self.encoder(hidden, attention_mask=bert.key_mask(batch.text_mask)).last_hidden_state
        if self.norm is not None:
            hidden = self.norm(hidden)
        first = hidden[:, 0] if self.pool == "first" else None
        return States(hidden, batch.text_mask, self.pooler(hidden) if self.pooler is not None else first)
