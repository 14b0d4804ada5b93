"""One BERT over text and frames at once."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn

from lib.models import bert
from lib.models.pretrained import resolve_backbone
from lib.models.video_model import Joint, States


class SingleStream(nn.Module):
    """Joins embedded tokens and frames to one sequence and runs BERT's layers over it.

    ``cls_first``:   ``[CLS] frames [SEP] title [SEP]``  (AIAC rank 1, jobs 1, 4, 5, 6; text laid out as cls_sep_title)
    ``video_first``: ``frames [CLS] title [SEP]``        (jobs 2, 3; text laid out as cls_title)

    Used by: AIAC rank 1.

    Args:
        backbone: whose layers (see ``pretrained``).
        text_dim, frames_dim: widths of what comes in; both must be the backbone's.
        layout: where the frames stand.
        dropout: replaces the backbone's.
    """

    def __init__(
        self,
        backbone: str,
        text_dim: int,
        frames_dim: int,
        layout: Literal["cls_first", "video_first"] = "cls_first",
        dropout: float | None = None,
    ) -> None:
        super().__init__()
        resolved = resolve_backbone(backbone, dropout=dropout)
        width = resolved.config.hidden_size
        if text_dim != width or frames_dim != width:
            raise ValueError(
                f"SingleStream: text is {text_dim} and frames are {frames_dim} wide, the backbone {backbone} is {width}"
            )
        if layout not in ("cls_first", "video_first"):
            raise ValueError(f"SingleStream: layout must be cls_first or video_first, got {layout!r}")
        self.encoder = bert.encoder(resolved.config)
        resolved.load_into(self.encoder, "bert.encoder.")
        self.layout = layout
        self.output_dim: int = width

    def forward(self, text: States, frames: States) -> Joint:
        before = 1 if self.layout == "cls_first" else 0  # text tokens in front of the frames
        hidden = torch.cat([text.hidden[:, :before], frames.hidden, text.hidden[:, before:]], dim=1)
        mask = torch.cat([text.mask[:, :before], frames.mask, text.mask[:, before:]], dim=1)
        position = torch.arange(hidden.shape[1], device=hidden.device)
        count = frames.hidden.shape[1]
        return Joint(
            self.encoder(hidden, attention_mask=bert.key_mask(mask)).last_hidden_state,
            mask,
            text_index=torch.cat([position[:before], position[before + count :]]),
            frame_index=position[before : before + count],
        )
