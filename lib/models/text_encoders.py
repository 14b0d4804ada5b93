"""Text encoders: from token ids to states."""

from __future__ import annotations

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

    ``pooled`` is the tanh pooler's output of the first token, or None without the pooler.
    Used by: the WeChat baseline and the dual-stream systems.

    Args:
        backbone: architecture and weights (see ``pretrained``).
        vocab_size: size of the token set.
        pooler: whether to make the pooled vector; without it the encoder carries no pooler weights.
        dropout: replaces the backbone's.
    """

    def __init__(self, backbone: str, vocab_size: int, pooler: bool = True, dropout: float | None = None) -> None:
        super().__init__()
        resolved = resolve_backbone(backbone, vocab_size=vocab_size, dropout=dropout)
        self.embeddings = bert.embeddings(resolved.config)
        self.encoder = bert.encoder(resolved.config)
        self.pooler = bert.pooler(resolved.config) if pooler else None
        for name in ("embeddings", "encoder", "pooler"):
            if getattr(self, name) is not None:
                resolved.load_into(getattr(self, name), f"bert.{name}.")
        self.output_dim: int = resolved.config.hidden_size

    @property
    def word_table(self) -> Tensor:
        return self.embeddings.word_embeddings.weight

    def forward(self, batch: Batch) -> States:
        hidden = self.embeddings(input_ids=batch.input_ids, token_type_ids=batch.token_types)
        hidden = self.encoder(hidden, attention_mask=bert.key_mask(batch.text_mask)).last_hidden_state
        return States(hidden, batch.text_mask, self.pooler(hidden) if self.pooler is not None else None)
