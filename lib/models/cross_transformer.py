"""A second transformer over the states of two encoders."""

from __future__ import annotations

import torch
from torch import nn

from lib.models import bert
from lib.models.bert import init_like_bert, init_std
from lib.models.video_model import Joint, States


class CrossTransformer(nn.Module):
    """BERT's layers over [text states; frame states], with position and type tables of its own, random weights.

    Text stands at positions 0..T-1, frames from ``num_text_slots`` on however far a batch is padded, so padding changes
    nothing. Types are 0 for text and 1 for frames. Returns states [B, T + F, D]. The original is a whole BertModel,
    whose word table and pooler (16,816,896 parameters) never get a gradient; they are left out.
    Used by: AIAC rank 17, second model.

    Args:
        text_dim, frames_dim: widths of what comes in; must be equal.
        num_text_slots: longest text.
        depth, heads: layers and attention heads.
        ffn: width inside the feed-forward part; None: four times the states' width.
        positions: rows of the position table; the published one has 512, of which 64 are used.
        dropout: everywhere BERT has one.

    Raises:
        ValueError: widths that differ or that the heads do not divide, or more slots than positions.
    """

    def __init__(
        self,
        text_dim: int,
        frames_dim: int,
        num_text_slots: int,
        depth: int = 6,
        heads: int = 8,
        ffn: int | None = None,
        positions: int = 512,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        from transformers import BertConfig

        if text_dim != frames_dim or text_dim % heads:
            raise ValueError(
                f"CrossTransformer: text is {text_dim} and frames are {frames_dim} wide; they must be equal and a "
                f"multiple of heads = {heads} (frames: FrameLinear maps to the backbone's width)"
            )
        config = BertConfig(
            vocab_size=1,
            hidden_size=text_dim,
            num_hidden_layers=depth,
            num_attention_heads=heads,
            intermediate_size=4 * text_dim if ffn is None else ffn,
            hidden_dropout_prob=dropout,
            attention_probs_dropout_prob=dropout,
            initializer_range=init_std(text_dim),
        )
        config._attn_implementation = "sdpa"  # no public setter; without it bare modules fall back to eager attention
        self.position_embeddings = nn.Embedding(positions, text_dim)
        self.token_type_embeddings = nn.Embedding(2, text_dim)
        init_like_bert(self, config.initializer_range)
        self.LayerNorm = nn.LayerNorm(text_dim, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(dropout)
        self.encoder = bert.encoder(config)
        self.num_text_slots = num_text_slots
        self.output_dim = text_dim

    def forward(self, text: States, frames: States) -> Joint:
        words, count = text.hidden.shape[1], frames.hidden.shape[1]
        if words > self.num_text_slots or self.num_text_slots + count > self.position_embeddings.num_embeddings:
            raise ValueError(
                f"CrossTransformer: {words} tokens and {count} frames do not fit into num_text_slots = "
                f"{self.num_text_slots} and positions = {self.position_embeddings.num_embeddings}; raise positions"
            )
        device = text.hidden.device
        place = torch.arange(words + count, device=device)
        is_frame = (place >= words).long()
        hidden = torch.cat([text.hidden, frames.hidden], dim=1) + self.token_type_embeddings(is_frame)
        hidden = hidden + self.position_embeddings(place + is_frame * (self.num_text_slots - words))
        mask = torch.cat([text.mask, frames.mask], dim=1)
        hidden = self.encoder(self.dropout(self.LayerNorm(hidden)), attention_mask=bert.key_mask(mask))
        return Joint(hidden.last_hidden_state, mask, text_index=place[:words], frame_index=place[words:])
