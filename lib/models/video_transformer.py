"""A transformer over the frames alone."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lib.data.batch import Batch
from lib.models.video_model import States

TABLE_STD = 0.02  # of the learnable first slot and the position table


class PreNormLayer(nn.Module):
    """x + W_o attention(LN(x)), then x + FFN(LN(x)), on [B, L, D]. Heads may be wider than D / heads.

    Args:
        dim: width of the states.
        heads, head_dim: attention heads and the width of each.
        ffn: width inside the feed-forward part.
        dropout: after both parts and inside the feed-forward one; attention weights have none.
    """

    def __init__(self, dim: int, heads: int, head_dim: int, ffn: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm, self.ffn_norm = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, 3 * heads * head_dim, bias=False)
        self.out = nn.Linear(heads * head_dim, dim)
        self.widen, self.narrow = nn.Linear(dim, ffn), nn.Linear(ffn, dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, key_mask: Tensor | None) -> Tensor:
        """``key_mask``: bool, broadcast to [B, heads, L, L]; False where nobody may look. None: everything."""
        query, key, value = self.qkv(self.attention_norm(x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(query, key, value, attn_mask=key_mask)
        x = x + self.dropout(self.out(seen.transpose(1, 2).flatten(2)))
        return x + self.dropout(self.narrow(self.dropout(F.gelu(self.widen(self.ffn_norm(x))))))


class VideoTransformer(nn.Module):
    """A learnable first slot and the frames through pre-norm layers of the frames' own width, no final norm.

    States are those of the frames [B, F, D]; ``pooled`` [B, D] is the mean over the first slot and the valid frames.
    Random weights of torch's default kind. Used by: AIAC rank 17, first model (28,323,840 parameters a layer).

    Args:
        frame_dim: width of the frame features and of the states.
        num_frame_slots: most frames of a video, for the position table.
        depth, heads, head_dim, ffn: layers, attention heads, the width of each, width inside the feed-forward part.
        dropout: on the input and inside the layers.
        respect_mask: padded frames are not attended to; false is quirk C7-2, and then the result depends on how far a
            batch is padded.
        positions: a learned table added to the frames, or none (quirk C7-3).
        init: of the first slot: normal with standard deviation 0.02, or uniform in [0, 1) (quirk C7-3).

    Raises:
        ValueError: more frames than positions.
    """

    def __init__(
        self,
        frame_dim: int,
        num_frame_slots: int = 32,
        depth: int = 6,
        heads: int = 12,
        head_dim: int = 256,
        ffn: int = 3072,
        dropout: float = 0.1,
        respect_mask: bool = True,
        positions: Literal["learned", "none"] = "learned",
        init: Literal["normal", "uniform"] = "normal",
    ) -> None:
        super().__init__()
        self.first = nn.Parameter(torch.empty(frame_dim))
        if init == "normal":
            nn.init.normal_(self.first, 0.0, TABLE_STD)
        else:
            nn.init.uniform_(self.first)
        self.position_embeddings = nn.Embedding(num_frame_slots, frame_dim) if positions == "learned" else None
        if self.position_embeddings is not None:
            nn.init.normal_(self.position_embeddings.weight, 0.0, TABLE_STD)
        self.layers = nn.ModuleList(PreNormLayer(frame_dim, heads, head_dim, ffn, dropout) for _ in range(depth))
        self.dropout = nn.Dropout(dropout)
        self.respect_mask = respect_mask
        self.output_dim = frame_dim

    def forward(self, batch: Batch) -> States:
        frames, count = batch.frames, batch.frames.shape[1]
        if self.position_embeddings is not None:
            if count > self.position_embeddings.num_embeddings:
                raise ValueError(
                    f"VideoTransformer: {count} frames, but num_frame_slots = {self.position_embeddings.num_embeddings}"
                )
            frames = frames + self.position_embeddings.weight[:count]
        hidden = self.dropout(torch.cat([self.first.expand(len(frames), 1, -1), frames], dim=1))
        mask = F.pad(batch.frame_mask, (1, 0), value=True)  # the first slot is always there: no row is without a key
        key_mask = mask[:, None, None, :] if self.respect_mask else None
        for layer in self.layers:
            hidden = layer(hidden, key_mask)
        weight = mask.unsqueeze(-1)
        return States(hidden[:, 1:], batch.frame_mask, (hidden * weight).sum(dim=1) / weight.sum(dim=1))
