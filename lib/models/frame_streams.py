"""Frame encoders of two-stream models: every frame keeps a state, the fusion compares them with the words."""

from __future__ import annotations

from torch import nn

from lib.data.batch import Batch
from lib.models import bert
from lib.models.inception import InceptionStack
from lib.models.pretrained import resolve_backbone
from lib.models.sequences import SpatialDropout, nonempty
from lib.models.video_model import States


class FrameVectors(nn.Module):
    """The frame features as they come, with dropout of whole channels: states [B, F, frame_dim].

    Used by: AIAC rank 6 (``lstm``; dropout of words and frames apart equals dropout of their concatenation).
    """

    def __init__(self, frame_dim: int, dropout: float = 0.2) -> None:
        super().__init__()
        self.dropout = SpatialDropout(dropout)
        self.output_dim = frame_dim

    def forward(self, batch: Batch) -> States:
        return States(self.dropout(batch.frames), batch.frame_mask)


class FrameLinear(nn.Module):
    """A linear map per frame, perhaps layer norm, dropout; no positions. States [B, F, dim].

    Used by: AIAC rank 6: to the width of the words with spatial dropout 0.2 (``erc``, ``esim``, ``gru_lxmert``); to
    the backbone's with layer norm and plain dropout 0.1 (``lxmert``).

    Args:
        frame_dim: width of the frame features.
        dim: width of the states; None takes ``hidden``.
        hidden: width of the recipe's backbone.
        norm: layer norm after the map.
        dropout: last.
        spatial: drop whole channels instead of single numbers.

    Raises:
        ValueError: neither ``dim`` nor a backbone says how wide the states are.
    """

    def __init__(
        self,
        frame_dim: int,
        dim: int | None = None,
        hidden: int | None = None,
        norm: bool = False,
        dropout: float = 0.2,
        spatial: bool = True,
    ) -> None:
        super().__init__()
        width = hidden if dim is None else dim
        if width is None:
            raise ValueError("FrameLinear: give dim, or name a backbone in another slot to take its width")
        self.project = nn.Linear(frame_dim, width)
        self.norm = nn.LayerNorm(width, eps=1e-12) if norm else nn.Identity()
        self.dropout = SpatialDropout(dropout) if spatial else nn.Dropout(dropout)
        self.output_dim = width

    def forward(self, batch: Batch) -> States:
        return States(self.dropout(self.norm(self.project(batch.frames))), batch.frame_mask)


class InceptionFrames(nn.Module):
    """Two Inception blocks over frame features: states [B, F, hidden]. Used by: AIAC rank 6 (``inception_lxmert``).

    Args:
        frame_dim: width of the frame features.
        hidden: width of the states, that of the fusion's backbone.
        dropout: of whole input channels.
        mask_padding: see ``InceptionWords``.
    """

    def __init__(self, frame_dim: int, hidden: int, dropout: float = 0.2, mask_padding: bool = True) -> None:
        super().__init__()
        self.dropout = SpatialDropout(dropout)
        self.inception = InceptionStack(frame_dim, hidden)
        self.mask_padding, self.output_dim = mask_padding, hidden

    def forward(self, batch: Batch) -> States:
        mask = nonempty(batch.frame_mask) if self.mask_padding else None
        return States(self.inception(self.dropout(batch.frames), mask), batch.frame_mask)


class TransformerFrames(nn.Module):
    """A linear map to the backbone's width, dropout of whole channels, the backbone's layers; no positions.

    States [B, F, width]. Used by: AIAC rank 6 (``light_lxmert``, one layer).

    Args:
        frame_dim: width of the frame features.
        backbone: which layers (see ``pretrained``); its embeddings are not used.
        dropout: between the map and the layers.
        mask_padding: padded frames cannot be attended to; the original attends to them (B7-11).
    """

    def __init__(
        self, frame_dim: int, backbone: str = "random-1x768", dropout: float = 0.2, mask_padding: bool = True
    ) -> None:
        super().__init__()
        resolved = resolve_backbone(backbone)
        self.project = nn.Linear(frame_dim, resolved.config.hidden_size)
        self.dropout = SpatialDropout(dropout)
        self.encoder = bert.encoder(resolved.config)
        resolved.load_into(self.encoder, "bert.encoder.")
        self.mask_padding, self.output_dim = mask_padding, int(resolved.config.hidden_size)

    def forward(self, batch: Batch) -> States:
        mask = bert.key_mask(nonempty(batch.frame_mask)) if self.mask_padding else None
        hidden = self.dropout(self.project(batch.frames))
        return States(self.encoder(hidden, attention_mask=mask).last_hidden_state, batch.frame_mask)
