"""Fusions that read both sequences; what compares the two sides is in ``matching``, what joins pooled vectors in
``gating``."""

from typing import Any, Literal

import torch
import torch.nn.functional as F
from pydantic import PositiveInt
from torch import Tensor, nn

from lib.models import bert
from lib.models.bert import init_like_bert, resolve_backbone
from lib.models.matching import match_features, same_width
from lib.models.sequences import masked_max, masked_mean, nonempty, recurrent, run_recurrent
from lib.models.video_model import Joint, States, from_vector


def joined(text: Tensor, text_mask: Tensor, frames: Tensor, frames_mask: Tensor, pooled: Tensor | None = None) -> Joint:
    """[text; frames] as joint states, [B, T + F, D]."""
    place = torch.arange(text.shape[1] + frames.shape[1], device=text.device)
    hidden, mask = torch.cat([text, frames], dim=1), torch.cat([text_mask, frames_mask], dim=1)
    return Joint(hidden, mask, pooled, text_index=place[: text.shape[1]], frame_index=place[text.shape[1] :])


class SingleStream(nn.Module):
    """Joins embedded tokens and frames to one sequence and runs BERT's layers over it: states [B, T + F, D].

    ``cls_first``:   ``[CLS] frames [SEP] title [SEP]``  (AIAC rank 1, jobs 1, 4, 5, 6; text laid out as cls_sep_title)
    ``video_first``: ``frames [CLS] title [SEP]``        (jobs 2, 3; text laid out as cls_title)

    Used by: AIAC rank 1. Positions are the sides' own, so the layout moves no number.
    ``earlier``: so many layers before the last the states are kept for a pooling, too.
    """

    def __init__(
        self,
        backbone: str,
        text_dim: int,
        frames_dim: int,
        layout: Literal["cls_first", "video_first"] = "cls_first",
        dropout: float | None = None,
        earlier: int = 0,
    ):
        super().__init__()
        resolved = resolve_backbone(backbone, dropout=dropout)
        self.output_dim = checked_width("SingleStream", text_dim, frames_dim, backbone, resolved.config.hidden_size)
        self.encoder = resolved.part("encoder")
        self.layout, self.cut = layout, max(0, len(self.encoder.layer) - earlier)

    def forward(self, text: States, frames: States) -> Joint:
        before = 1 if self.layout == "cls_first" else 0  # text tokens in front of the frames
        hidden = torch.cat([text.hidden[:, :before], frames.hidden, text.hidden[:, before:]], dim=1)
        mask = torch.cat([text.mask[:, :before], frames.mask, text.mask[:, before:]], dim=1)
        position = torch.arange(hidden.shape[1], device=hidden.device)
        count = frames.hidden.shape[1]
        earlier = bert.run_layers(self.encoder.layer[: self.cut], hidden, mask)
        return Joint(
            bert.run_layers(self.encoder.layer[self.cut :], earlier, mask),
            mask,
            earlier=earlier,
            text_index=torch.cat([position[:before], position[before + count :]]),
            frame_index=position[before : before + count],
        )


class CrossTransformer(nn.Module):
    """BERT's layers over [text states; frame states], with position and type tables of its own, random weights.

    Text stands at positions 0..T-1, frames from ``num_text_slots`` on however far a batch is padded, so padding changes
    nothing. Types are 0 for text and 1 for frames. States are [B, T + F, D]. The original is a whole BertModel, whose
    word table and pooler (16,816,896 parameters) never get a gradient; they are left out. Used by: AIAC rank 17, second
    model. Raises ValueError: widths that differ or that the heads do
    not divide, or more slots than positions. ``positions``: rows of the position table; the published one has 512, of
    which 64 are used; 0: no tables, no layer norm.
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
    ):
        super().__init__()
        if text_dim != frames_dim or text_dim % heads:
            raise ValueError(
                f"CrossTransformer: text is {text_dim} and frames are {frames_dim} wide; they must be equal and a "
                f"multiple of heads = {heads} (frames: FrameLinear maps to the backbone's width)"
            )
        config = bert.stack_config(text_dim, heads, ffn, dropout)
        config.num_hidden_layers = depth
        self.tables = positions > 0
        if self.tables:
            self.position_embeddings = nn.Embedding(positions, text_dim)
            self.token_type_embeddings = nn.Embedding(2, text_dim)
            init_like_bert(self, config.initializer_range)
            self.LayerNorm = nn.LayerNorm(text_dim, eps=config.layer_norm_eps)
            self.dropout = nn.Dropout(dropout)
        self.encoder = bert.part("encoder", config)
        self.num_text_slots, self.output_dim = num_text_slots, text_dim

    def forward(self, text: States, frames: States) -> Joint:
        joint = joined(text.hidden, text.mask, frames.hidden, frames.mask)
        if self.tables:
            joint.hidden = self._with_tables(joint.hidden, text.hidden.shape[1], frames.hidden.shape[1])
        joint.hidden = self.encoder(joint.hidden, attention_mask=bert.key_mask(joint.mask)).last_hidden_state
        return joint

    def _with_tables(self, hidden: Tensor, words: int, count: int) -> Tensor:
        if words > self.num_text_slots or self.num_text_slots + count > self.position_embeddings.num_embeddings:
            raise ValueError(
                f"CrossTransformer: {words} tokens and {count} frames do not fit into num_text_slots = "
                f"{self.num_text_slots} and positions = {self.position_embeddings.num_embeddings}; raise positions"
            )
        place = torch.arange(words + count, device=hidden.device)
        is_frame = (place >= words).long()
        hidden = hidden + self.token_type_embeddings(is_frame)
        hidden = hidden + self.position_embeddings(place + is_frame * (self.num_text_slots - words))
        return self.dropout(self.LayerNorm(hidden))


class CrossModalEncoder(nn.Module):
    """Cross-modal layers that keep both streams, then BERT's tanh pooler on the first text token.

    LXMERT, Tan and Bansal 2019, arXiv:1908.07490. In each layer both streams attend to the other with one shared set of
    weights, then to themselves, then pass a feed-forward block of their own. States are [text; frames], [B, T + F, D],
    and ``pooled`` [B, D].

    The pooler reads text only, so the self-attention and feed-forward block of the frames in the last layer (7,087,872
    parameters at the published size) never reach a loss; they are left out, and the states are then the text alone.
    Used by: WeChat rank 72 (12 layers of ``BertText``, five of these). WeChat final, 1st (M3): three, both streams, no ``pooler``. Raises ValueError: other widths than the backbone's.

    Args:
        backbone: size of the layers and weights of the pooler (see ``bert``); the layers start from random
            numbers, as BERT does.
        last_frames: keep the last layer's block of the frames (quirk R11), which objectives on frames need.
    """

    def __init__(
        self,
        text_dim: int,
        frames_dim: int,
        backbone: str,
        depth: PositiveInt = 5,
        last_frames: bool = False,
        dropout: float | None = None,
        pooler: bool = True,
    ):
        super().__init__()
        resolved = resolve_backbone(backbone, dropout=dropout)
        config = resolved.config
        self.output_dim = checked_width("CrossModalEncoder", text_dim, frames_dim, backbone, config.hidden_size)
        self.layers = _cross_modal_layers(config, depth)
        if not last_frames:
            for name in ("visn_self_att", "visn_inter", "visn_output"):
                delattr(self.layers[-1], name)
        init_like_bert(self.layers, config.initializer_range)
        self.pooler = resolved.part("pooler") if pooler else None
        self.last_frames = last_frames

    def forward(self, text: States, frames: States) -> Joint:
        t, v = text.hidden, frames.hidden
        t_bias, v_bias = _hidden_keys(nonempty(text.mask), t.dtype), _hidden_keys(nonempty(frames.mask), v.dtype)
        for layer in self.layers[: len(self.layers) - (not self.last_frames)]:
            t, v = layer(t, t_bias, v, v_bias)
        if self.last_frames:
            return joined(t, text.mask, v, frames.mask, self.pooler and self.pooler(t))
        t = _text_half(self.layers[-1], t, t_bias, v, v_bias)
        return Joint(t, text.mask, self.pooler and self.pooler(t), text_index=torch.arange(t.shape[1], device=t.device))


class CrossModal(nn.Module):
    """A stack of cross-modal layers; the vector is the match features of what is pooled from either stream, [B, 4·D].

    The layers are those of ``CrossModalEncoder``. Used by: AIAC rank 6 (``lxmert``, ``gru_lxmert``,
    ``inception_lxmert``, ``light_lxmert``: three layers each).

    Args:
        backbone: number and size of the layers (see ``bert``); their weights are random, torch's default.
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
    ):
        super().__init__()
        config = resolve_backbone(backbone).config
        width: int = config.hidden_size
        self.gru = _shared_gru(text_dim, frames_dim, width) if recurrent == "gru" else None
        if self.gru is None:
            checked_width("CrossModal", text_dim, frames_dim, backbone, width)
        self.layers = _cross_modal_layers(config, config.num_hidden_layers)
        self.pool, self.mask, self.output_dim = pool, mask, 4 * width

    def forward(self, text: States, frames: States) -> Joint:
        seen = (None, None) if self.mask == "none" else (nonempty(text.mask), nonempty(frames.mask))
        t, v = text.hidden, frames.hidden
        if self.gru is not None:
            t, v = run_recurrent(self.gru, t, seen[0]), run_recurrent(self.gru, v, seen[1])
        t_bias, v_bias = self._bias(text, seen[0], t.dtype), self._bias(frames, seen[1], v.dtype)
        for layer in self.layers:
            t, v = layer(t, t_bias, v, v_bias)
        if self.pool == "first":
            return from_vector(match_features(t[:, 0], v[:, 0]))
        return from_vector(match_features(masked_mean(t, seen[0]), masked_mean(v, seen[1])))

    def _bias(self, states: States, seen: Tensor | None, dtype: torch.dtype) -> Tensor | None:
        """What is added to the attention logits for these keys, [B, 1, 1, L]."""
        if seen is None:
            return None
        if self.mask == "neg_inf":
            return _hidden_keys(seen, dtype)
        return (states.mask if states.mask_value is None else states.mask_value).to(dtype)[:, None, None, :]


class EarlyFusion(nn.Module):
    """A BiLSTM over [word i; frame i], then mean and maximum over the positions: [B, 4·width]. Used by: AIAC rank 6
    (``lstm``). The original owns a linear map of the frames that nothing uses; it is left out.

    ``mask_padding``: a position counts if it has a word or a frame, and what is padded is zero. The original reads,
    averages and maximises over all 32 positions (B7-11); false needs as many text as frame slots.
    """

    def __init__(self, text_dim: int, frames_dim: int, width: int = 512, mask_padding: bool = True):
        super().__init__()
        self.lstm = recurrent("lstm", text_dim + frames_dim, width)
        self.mask_padding, self.output_dim = mask_padding, 4 * width

    def forward(self, text: States, frames: States) -> Joint:
        if self.mask_padding:
            length = max(text.mask.shape[1], frames.mask.shape[1])
            mask = nonempty(_stretch(text.mask, length) | _stretch(frames.mask, length))
            sides = [_stretch(s.hidden.masked_fill(~s.mask.unsqueeze(-1), 0.0), length) for s in (text, frames)]
        else:
            if text.mask.shape != frames.mask.shape:
                raise ValueError(
                    f"EarlyFusion: {text.mask.shape[1]} text slots and {frames.mask.shape[1]} frame slots; without "
                    "mask_padding both must be padded to the same length (features.*.pad: full, equal lengths)"
                )
            mask, sides = None, [text.hidden, frames.hidden]
        hidden = run_recurrent(self.lstm, torch.cat(sides, dim=-1), mask)
        return from_vector(torch.cat([masked_mean(hidden, mask), masked_max(hidden, mask)], dim=-1))


def checked_width(who: str, text_dim: int, frames_dim: int, backbone: str, width: int) -> int:
    """The backbone's width, if both sides have it."""
    if text_dim != width or frames_dim != width:
        raise ValueError(
            f"{who}: text is {text_dim} and frames are {frames_dim} wide, the backbone {backbone} is {width} (frames: "
            "FrameLinear maps to the backbone's width)"
        )
    return width


def _cross_modal_layers(config: Any, depth: int) -> nn.ModuleList:
    """transformers' layers of LXMERT; BERT's configuration has every name that they ask for."""
    from transformers.models.lxmert.modeling_lxmert import LxmertXLayer

    return nn.ModuleList([LxmertXLayer(config) for _ in range(depth)])


def _text_half(layer: Any, t: Tensor, t_bias: Tensor, v: Tensor, v_bias: Tensor) -> Tensor:
    """What a cross-modal layer does to the text [B, T, D], without its own block of the frames."""
    crossed = layer.visual_attention(t, v, ctx_att_mask=v_bias)[0]
    own = layer.lang_self_att(crossed, t_bias)[0]
    return layer.lang_output(layer.lang_inter(own), own)


def _hidden_keys(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """What hides padded keys when added to attention logits: bool [B, L] -> [B, 1, 1, L]."""
    return ((~mask).to(dtype) * -10000.0)[:, None, None, :]


def _shared_gru(text_dim: int, frames_dim: int, width: int) -> nn.RNNBase:
    return recurrent("gru", same_width("CrossModal", text_dim, frames_dim, "one GRU reads both"), width // 2)


def _stretch(x: Tensor, length: int) -> Tensor:
    """Zeros behind, so that dimension 1 has ``length`` positions."""
    return F.pad(x, (0, 0) * (x.ndim - 2) + (0, length - x.shape[1]))
