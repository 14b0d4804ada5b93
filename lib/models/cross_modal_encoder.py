"""A cross-modal encoder that keeps both streams (LXMERT, Tan and Bansal 2019, arXiv:1908.07490)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from lib.models import bert
from lib.models.bert import init_like_bert
from lib.models.pretrained import resolve_backbone
from lib.models.sequences import nonempty
from lib.models.video_model import Joint, States


class CrossModalEncoder(nn.Module):
    """Cross-modal layers over encoded text and frames, then BERT's tanh pooler on the first text token.

    In each layer both streams attend to the other with one shared set of weights, then to themselves, then pass a
    feed-forward block of their own. States are [text; frames], [B, T + F, D], and ``pooled`` [B, D].

    The pooler reads text only, so the self-attention and feed-forward block of the frames in the last layer (7,087,872
    parameters at the published size) never reach a loss; they are left out, and the states are then the text alone.
    Used by: WeChat rank 72 (12 layers of ``BertText``, five of these).

    Args:
        text_dim, frames_dim: widths of what comes in; both must be the backbone's.
        backbone: size of the layers and weights of the pooler (see ``pretrained``); the layers start from random
            numbers, as BERT does.
        depth: number of cross-modal layers.
        last_frames: keep the last layer's block of the frames (quirk R11), which objectives on frames need.
        dropout: replaces the backbone's.

    Raises:
        ValueError: other widths than the backbone's, or no layer.
    """

    def __init__(
        self,
        text_dim: int,
        frames_dim: int,
        backbone: str,
        depth: int = 5,
        last_frames: bool = False,
        dropout: float | None = None,
    ) -> None:
        from transformers.models.lxmert.modeling_lxmert import LxmertXLayer

        super().__init__()
        resolved = resolve_backbone(backbone, dropout=dropout)
        config = resolved.config
        width: int = config.hidden_size
        if text_dim != width or frames_dim != width:
            raise ValueError(
                f"CrossModalEncoder: text is {text_dim} and frames are {frames_dim} wide, the backbone {backbone} is "
                f"{width} (frames: FrameLinear maps to the backbone's width)"
            )
        if depth < 1:
            raise ValueError(f"CrossModalEncoder: depth must be 1 or more, got {depth}")
        # BERT's configuration has every name that these layers ask for
        self.layers = nn.ModuleList([LxmertXLayer(config) for _ in range(depth)])
        if not last_frames:
            for name in ("visn_self_att", "visn_inter", "visn_output"):
                delattr(self.layers[-1], name)
        init_like_bert(self.layers, config.initializer_range)
        self.pooler = bert.pooler(config)
        resolved.load_into(self.pooler, "bert.pooler.")
        self.last_frames, self.output_dim = last_frames, width

    def forward(self, text: States, frames: States) -> Joint:
        t, v = text.hidden, frames.hidden
        t_bias, v_bias = _bias(text.mask, t.dtype), _bias(frames.mask, v.dtype)
        count = len(self.layers) - (not self.last_frames)
        for layer in self.layers[:count]:
            t, v = layer(t, t_bias, v, v_bias)
        if not self.last_frames:
            t = _text_half(self.layers[-1], t, t_bias, v, v_bias)
        place = torch.arange(t.shape[1] + v.shape[1], device=t.device)
        words = t.shape[1]
        if not self.last_frames:
            return Joint(t, text.mask, self.pooler(t), text_index=place[:words])
        both, mask = torch.cat([t, v], dim=1), torch.cat([text.mask, frames.mask], dim=1)
        return Joint(both, mask, self.pooler(t), text_index=place[:words], frame_index=place[words:])


def _text_half(layer: Any, t: Tensor, t_bias: Tensor, v: Tensor, v_bias: Tensor) -> Tensor:
    """What a layer does to the text, without its own block of the frames."""
    crossed = layer.visual_attention(t, v, ctx_att_mask=v_bias)[0]
    own = layer.lang_self_att(crossed, t_bias)[0]
    return layer.lang_output(layer.lang_inter(own), own)


def _bias(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """What is added to the attention logits for these keys, [B, 1, 1, L]."""
    return ((~nonempty(mask)).to(dtype) * -10000.0)[:, None, None, :]
