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

    States are [B, T, D]. Positions count within the text, wherever the fusion puts it.
    Used by: AIAC rank 1.

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
    """The whole BERT on the text alone: states [B, T, D].

    ``pooled`` [B, D] is the tanh pooler's output of the first token or that token's state itself; None without the pooler.
    Used by: the WeChat baseline; AIAC rank 6 (``lxmert``); AIAC rank 17 takes the first state
    in its first model and a layer norm without token types in its second; WeChat rank 72 takes the states alone.

    Args:
        backbone: architecture and weights (see ``pretrained``).
        vocab_size: size of the token set.
        pooler: whether to make the pooled vector; without it the encoder carries no pooler weights.
        dropout: replaces the backbone's.
        pool: what ``pooled`` is: tanh for the pooler's output, first for the first token's state (no pooler weights).
        norm: a layer norm of its own (eps 1e-5) on the last states.
        token_types: false gives every token type 0.
        second_mask_value: value of the text mask m of the second video of every pair. AIAC rank 6 has 2 there (B7-5):
            BERT's own term (1 - m)·(-10000) becomes +10000 for real tokens, which float32 rounds visibly, and a fusion
            that adds the mask itself (``CrossModal`` with ``additive01``) adds 2. Batches without pairs are unaffected.
        still_first_rows: position 0 and token type 0 get no gradient, as if they were padding (WeChat rank 72, R10).

    Raises:
        ValueError: a mask value below 1.
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
        second_mask_value: int = 1,
        still_first_rows: bool = False,
    ) -> None:
        super().__init__()
        if second_mask_value < 1:
            raise ValueError(f"BertText: second_mask_value must be 1 or more, got {second_mask_value}")
        resolved = resolve_backbone(backbone, vocab_size=vocab_size, dropout=dropout)
        if second_mask_value != 1:  # fused attention rounds differently, which shows at 10000
            resolved.config._attn_implementation = "eager"
        self.second_mask_value = second_mask_value
        self.embeddings = bert.embeddings(resolved.config)
        self.encoder = bert.encoder(resolved.config)
        self.pooler = bert.pooler(resolved.config) if pooler and pool == "tanh" else None
        for name in ("embeddings", "encoder", "pooler"):
            if getattr(self, name) is not None:
                resolved.load_into(getattr(self, name), f"bert.{name}.")
        if still_first_rows:  # set after the weights, so that the rows keep their numbers
            self.embeddings.position_embeddings.padding_idx = self.embeddings.token_type_embeddings.padding_idx = 0
        self.norm = nn.LayerNorm(resolved.config.hidden_size, eps=1e-5) if norm else None
        self.pool, self.token_types = pool, token_types
        self.output_dim: int = resolved.config.hidden_size

    @property
    def word_table(self) -> Tensor:
        return self.embeddings.word_embeddings.weight

    def forward(self, batch: Batch) -> States:
        types = batch.token_types if self.token_types else torch.zeros_like(batch.token_types)
        hidden = self.embeddings(input_ids=batch.input_ids, token_type_ids=types)
        value = None if self.second_mask_value == 1 else self._mask_value(batch)
        mask = bert.key_mask(batch.text_mask) if value is None else ((1.0 - value) * -10000.0)[:, None, None, :]
        hidden = self.encoder(hidden, attention_mask=mask).last_hidden_state
        if self.norm is not None:
            hidden = self.norm(hidden)
        first = hidden[:, 0] if self.pool == "first" else None
        pooled = self.pooler(hidden) if self.pooler is not None else first
        return States(hidden, batch.text_mask, pooled, mask_value=value)

    def _mask_value(self, batch: Batch) -> Tensor:
        """The mask as numbers: 0, 1, and for second videos the given value."""
        value = batch.text_mask.float()
        if batch.pair is None:
            return value
        second = torch.zeros(len(batch), dtype=torch.bool, device=value.device)
        second[batch.pair[:, 1]] = True
        return torch.where(second.unsqueeze(1), value * self.second_mask_value, value)
