"""Cross-modal transformer layers between two streams (LXMERT, Tan and Bansal 2019, arXiv:1908.07490)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from lib.models.matching import as_joint, match_features, same_width
from lib.models.pretrained import resolve_backbone
from lib.models.sequences import masked_mean, nonempty, recurrent, run_recurrent
from lib.models.video_model import Joint, States


class CrossModal(nn.Module):
    """A stack of cross-modal layers; the vector is the match features of what is pooled from either stream, [B, 4·D].

    In each layer both streams attend to the other with one shared set of weights, then to themselves, then pass a
    feed-forward block of their own. Used by: AIAC rank 6 (``lxmert``, ``gru_lxmert``, ``inception_lxmert``,
    ``light_lxmert``: three layers each).

    Args:
        text_dim, frames_dim: widths of what comes in: the backbone's, unless a recurrent layer changes them.
        backbone: number and size of the layers (see ``pretrained``); their weights are random, torch's default.
        recurrent: ``gru`` puts one BiGRU, shared by both streams, in front.
        pool: the first position of either stream, or the mean over its real positions. For the word streams of
            ``inception_lxmert`` and ``light_lxmert`` the first is just the first word and the first frame (B7-12).
        mask: ``neg_inf`` hides padding. ``additive01`` adds the mask itself, 0 or 1, to the logits, so that padding
            weighs 1/e (``lxmert``, B7-4). ``none`` looks at padding, also in the GRU and the mean (the other three,
            B7-11). With ``additive01`` the numbers of a ``BertText`` with ``second_mask_value`` are added, if given.
    """

    def __init__(
        self,
        text_dim: int,
        frames_dim: int,
        backbone: str = "random-3x768",
        recurrent: Literal["none", "gru"] = "none",
        pool: Literal["first", "mean"] = "first",
        mask: Literal["neg_inf", "additive01", "none"] = "neg_inf",
    ) -> None:
        from transformers.models.lxmert.modeling_lxmert import LxmertXLayer

        super().__init__()
        for name, value, choices in (
            ("recurrent", recurrent, ("none", "gru")),
            ("pool", pool, ("first", "mean")),
            ("mask", mask, ("neg_inf", "additive01", "none")),
        ):
            if value not in choices:
                raise ValueError(f"CrossModal: {name} must be one of {', '.join(choices)}, got {value!r}")
        config = resolve_backbone(backbone).config
        width: int = config.hidden_size
        self.gru = _shared_gru(text_dim, frames_dim, width) if recurrent == "gru" else None
        if self.gru is None and (text_dim != width or frames_dim != width):
            raise ValueError(
                f"CrossModal: text is {text_dim} and frames are {frames_dim} wide, the layers of {backbone} are {width}"
            )
        # BERT's configuration has every name that these layers ask for
        self.layers = nn.ModuleList([LxmertXLayer(config) for _ in range(config.num_hidden_layers)])
        self.pool, self.mask = pool, mask
        self.output_dim = 4 * width

    def forward(self, text: States, frames: States) -> Joint:
        seen = (None, None) if self.mask == "none" else (nonempty(text.mask), nonempty(frames.mask))
        t, v = text.hidden, frames.hidden
        if self.gru is not None:
            t, v = run_recurrent(self.gru, t, seen[0]), run_recurrent(self.gru, v, seen[1])
        t_bias, v_bias = self._bias(text, seen[0], t.dtype), self._bias(frames, seen[1], v.dtype)
        for layer in self.layers:
            t, v = layer(t, t_bias, v, v_bias)
        if self.pool == "first":
            return as_joint(match_features(t[:, 0], v[:, 0]))
        return as_joint(match_features(masked_mean(t, seen[0]), masked_mean(v, seen[1])))

    def _bias(self, states: States, seen: Tensor | None, dtype: torch.dtype) -> Tensor | None:
        """What is added to the attention logits for these keys, [B, 1, 1, L]."""
        if seen is None:
            return None
        if self.mask == "neg_inf":
            return ((~seen).to(dtype) * -10000.0)[:, None, None, :]
        counted = getattr(states, "mask_value", None)  # B7-5
        return (states.mask if counted is None else counted).to(dtype)[:, None, None, :]


def _shared_gru(text_dim: int, frames_dim: int, width: int) -> nn.RNNBase:
    return recurrent("gru", same_width("CrossModal", text_dim, frames_dim, "one GRU reads both"), width // 2)
