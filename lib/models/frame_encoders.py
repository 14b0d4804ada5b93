"""Frame encoders: from frame features to states, one per frame or one per video."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lib.data.batch import Batch
from lib.models import bert
from lib.models.bert import init_like_bert, init_std
from lib.models.gating import SqueezeExcite
from lib.models.processes import jointly
from lib.models.sequences import InceptionStack, SpatialDropout, masked_mean, nonempty
from lib.models.video_model import States, from_vector

TABLE_STD = 0.02  # of the first slot and the position table of ``VideoTransformer``


class FrameProjection(nn.Module):
    """Each frame as one word: linear map to the backbone's width, own position and type tables, layer norm, dropout.

    States are [B, F, hidden]. Initialised like BERT. The original reuses BERT's whole embedding class here and so
    carries a word table that nothing ever reads (21,635,072 parameters, quirk A7-14); it is left out. Used by: AIAC
    rank 1. ``positions``: rows of the position table; the published one has 512, of which 32 are used.
    """

    def __init__(self, frame_dim: int, hidden: int, positions: int = 512, dropout: float = 0.1):
        super().__init__()
        self.project = nn.Linear(frame_dim, hidden)
        self.position_embeddings = nn.Embedding(positions, hidden)
        self.token_type_embeddings = nn.Embedding(2, hidden)
        self.LayerNorm = nn.LayerNorm(hidden, eps=1e-12)
        self.dropout = nn.Dropout(dropout)
        init_like_bert(self, init_std(hidden))
        self.output_dim = hidden

    def forward(self, batch: Batch) -> States:
        hidden = with_places("FrameProjection", self.project(batch.frames), self.position_embeddings)
        hidden = hidden + self.token_type_embeddings.weight[0]
        return States(self.dropout(self.LayerNorm(hidden)), batch.frame_mask)


class FrameVectors(nn.Module):
    """The frame features as they come, with dropout of whole channels: states [B, F, frame_dim]. Used by: AIAC rank 6
    (``lstm``; dropout of words and frames apart equals dropout of their concatenation)."""

    def __init__(self, frame_dim: int, dropout: float = 0.2):
        super().__init__()
        self.dropout = SpatialDropout(dropout)
        self.output_dim = frame_dim

    def forward(self, batch: Batch) -> States:
        return States(self.dropout(batch.frames), batch.frame_mask)


class FrameLinear(nn.Module):
    """A linear map per frame, perhaps layer norm, dropout; no positions. States [B, F, dim].

    Raises ValueError: neither ``dim`` nor a backbone says how wide the states are. Used by: AIAC rank 6: to the width
    of the words with spatial dropout 0.2 (``erc``, ``esim``, ``gru_lxmert``); to the backbone's with layer norm and
    plain dropout 0.1 (``lxmert``). AIAC rank 17, second model, and WeChat rank 72: to the backbone's. ``dim``:
    width of the states; None takes ``hidden``. ``positions``: rows of a table added to the map; 0: none.
    """

    def __init__(
        self,
        frame_dim: int,
        dim: int | None = None,
        hidden: int | None = None,
        norm: bool = False,
        dropout: float = 0.2,
        spatial: bool = True,
        positions: int = 0,
    ):
        super().__init__()
        width = hidden if dim is None else dim
        if width is None:
            raise ValueError("FrameLinear: give dim, or name a backbone in another slot to take its width")
        self.project = nn.Linear(frame_dim, width)
        self.norm = nn.LayerNorm(width, eps=1e-12) if norm else nn.Identity()
        self.dropout = SpatialDropout(dropout) if spatial else nn.Dropout(dropout)
        self.places = place_table(positions, width)
        self.output_dim = width

    def forward(self, batch: Batch) -> States:
        hidden = with_places("FrameLinear", self.project(batch.frames), self.places)
        return States(self.dropout(self.norm(hidden)), batch.frame_mask)


def place_table(rows: int, width: int) -> nn.Embedding | None:
    """A table of positions that starts as BERT's does; None without rows."""
    if not rows:
        return None
    table = nn.Embedding(rows, width)
    nn.init.normal_(table.weight, 0.0, init_std(width))
    return table


def with_places(who: str, hidden: Tensor, table: nn.Embedding | None) -> Tensor:
    """[B, F, D] plus the table's rows. Raises ValueError: more frames than rows."""
    if table is None:
        return hidden
    if hidden.shape[1] > table.num_embeddings:
        raise ValueError(f"{who}: {hidden.shape[1]} frames, but positions = {table.num_embeddings}")
    return hidden + table.weight[: hidden.shape[1]]


class VideoLayers(nn.Module):
    """UniVL's video encoder: a linear map, positions, layer norm, BERT's layers. States [B, F, hidden]; ``source`` the map.

    Luo et al. 2020, arXiv:2002.06353; its layer norm on the raw frames is ``normalize``. The layers start from random
    numbers (see ``bert.stack_config``). 6th of the WeChat final."""

    def __init__(
        self,
        frame_dim: int,
        hidden: int,
        num_frame_slots: int,
        depth: int = 6,
        heads: int | None = None,
        dropout: float = 0.1,
        normalize: bool = False,
    ):
        super().__init__()
        self.normalize = nn.LayerNorm(frame_dim) if normalize else nn.Identity()
        self.project = nn.Linear(frame_dim, hidden)
        self.places = place_table(num_frame_slots, hidden)
        self.norm, self.dropout = nn.LayerNorm(hidden, eps=1e-12), nn.Dropout(dropout)
        self.layer = bert.layers(bert.stack_config(hidden, heads, dropout=dropout), depth)
        self.output_dim = hidden

    def forward(self, batch: Batch) -> States:
        source = self.project(self.normalize(batch.frames))
        hidden = self.dropout(self.norm(with_places("VideoLayers", source, self.places)))
        return States(bert.run_layers(self.layer, hidden, batch.frame_mask), batch.frame_mask, source=source)


class PatchFrames(nn.Module):
    """A vector per frame out of its patches, states [B, F, N]; ``source`` keeps the patches [B, F, P, N].

    Needs ``ImageFrames`` with ``tokens: patches``, whose first patch is the class token. ``reduce``: ``mean`` over the grid,
    ``attention`` over it with one trained query, or the class token ``first``. 3rd of the WeChat final (A3-A5; U7)."""

    def __init__(self, frame_dim: int, reduce: Literal["mean", "attention", "first"] = "mean"):
        super().__init__()
        self.query = nn.Linear(frame_dim, 1, bias=False) if reduce == "attention" else None
        self.reduce, self.output_dim = reduce, frame_dim

    def forward(self, batch: Batch) -> States:
        patches = batch.frames
        if patches.ndim != 4:
            raise ValueError("PatchFrames: the frames are no patches; give model.images tokens: patches")
        if self.reduce == "first":
            hidden = patches[:, :, 0]
        elif self.query is None:
            hidden = patches[:, :, 1:].mean(dim=2)
        else:
            hidden = (patches[:, :, 1:] * torch.softmax(self.query(patches[:, :, 1:]), dim=2)).sum(dim=2)
        return States(hidden, batch.frame_mask, source=patches)


class InceptionFrames(nn.Module):
    """Two Inception blocks over frame features: states [B, F, hidden]. Used by: AIAC rank 6 (``inception_lxmert``)."""

    def __init__(self, frame_dim: int, hidden: int, dropout: float = 0.2, mask_padding: bool = True):
        super().__init__()
        self.dropout = SpatialDropout(dropout)
        self.inception = InceptionStack(frame_dim, hidden)
        self.mask_padding, self.output_dim = mask_padding, hidden

    def forward(self, batch: Batch) -> States:
        mask = nonempty(batch.frame_mask) if self.mask_padding else None
        return States(self.inception(self.dropout(batch.frames), mask), batch.frame_mask)


class TransformerFrames(nn.Module):
    """A linear map to the backbone's width, dropout of whole channels, the backbone's layers; no positions. States [B,
    F, width]. Used by: AIAC rank 6 (``light_lxmert``, one layer). ``mask_padding``: padded frames cannot be attended
    to; the original attends to them (B7-11)."""

    def __init__(self, frame_dim: int, backbone: str = "random-1x768", dropout: float = 0.2, mask_padding: bool = True):
        super().__init__()
        resolved = bert.resolve_backbone(backbone)
        self.project = nn.Linear(frame_dim, resolved.config.hidden_size)
        self.dropout = SpatialDropout(dropout)
        self.encoder = resolved.part("encoder")
        self.mask_padding, self.output_dim = mask_padding, int(resolved.config.hidden_size)

    def forward(self, batch: Batch) -> States:
        mask = bert.key_mask(nonempty(batch.frame_mask)) if self.mask_padding else None
        hidden = self.dropout(self.project(batch.frames))
        return States(self.encoder(hidden, attention_mask=mask).last_hidden_state, batch.frame_mask)


class NextVlad(nn.Module):
    """NeXtVLAD, Lin et al. 2018, arXiv:1811.05014: grouped, attention-weighted soft assignment of frames to clusters.

    The expanded frame is cut into G groups; each group g of frame f has an attention a = sigmoid(...) and a softmax
    over the K clusters; a cluster collects the weighted residuals of all groups and frames, each cluster is scaled to
    length one, and the K of them are flattened feature-major (index = feature·K + cluster), so the descriptor has
    length sqrt(K). Frames [B, F, N] become [B, output_dim]. Invariant to the order of frames. Used by: the WeChat
    baseline; AIAC rank 6. Raises ValueError: the expanded width is not a multiple of ``groups``.

    Args:
        groups: G; the baseline's option for it is never passed on, so 8 always ran (quirk B2).
        respect_mask: padded frames get attention 0. The originals ignore the mask, so that zero frames vote with their
            biases and the result depends on how much padding there is (quirk B1); false restores that.
    """

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        *,
        clusters: int = 64,
        groups: int = 8,
        expansion: int = 2,
        dropout: float = 0.3,
        respect_mask: bool = True,
    ):
        super().__init__()
        wide = expansion * input_dim
        if wide % groups:
            raise ValueError(f"NextVlad: {expansion} x {input_dim} = {wide} cannot be cut into {groups} groups")
        self.groups, self.clusters, self.respect_mask = groups, clusters, respect_mask
        self.expand = nn.Linear(input_dim, wide)
        self.attend = nn.Linear(wide, groups)
        self.assign = nn.Linear(wide, groups * clusters, bias=False)
        self.centres = nn.Parameter(torch.empty(wide // groups, clusters))
        self.dropout = nn.Dropout(dropout)
        self.project = nn.Linear(wide // groups * clusters, output_dim)
        nn.init.normal_(self.centres, std=0.01)
        self.output_dim = output_dim

    def describe(self, frames: Tensor, mask: Tensor) -> Tensor:
        """The descriptor before the last projection: frames [B, F, N], mask bool [B, F] -> [B, (width/G)·K]."""
        batch, count, _ = frames.shape
        wide = self.expand(frames)
        attention = torch.sigmoid(self.attend(wide))  # [B, F, G]
        if self.respect_mask:
            attention = attention * mask.unsqueeze(-1)
        assignment = torch.softmax(self.assign(wide).view(batch, count, self.groups, self.clusters), dim=-1)
        assignment = (assignment * attention.unsqueeze(-1)).flatten(1, 2)  # [B, F·G, K]
        grouped = wide.view(batch, count * self.groups, -1)  # [B, F·G, width/G]
        residual = grouped.transpose(1, 2) @ assignment - assignment.sum(dim=1, keepdim=True) * self.centres
        return F.normalize(residual.float(), dim=1).flatten(1)

    def forward(self, frames: Tensor, mask: Tensor) -> Tensor:
        """frames [B, F, N], mask bool [B, F] -> [B, output_dim]."""
        return self.project(self.dropout(self.describe(frames, mask)))


class NextVladFrames(nn.Module):
    """All frames of a video as one vector: NeXtVLAD, then perhaps a squeeze-and-excitation gate. States hold that
    vector as a sequence of length one, [B, 1, output_dim], and as ``pooled``. Used by: the WeChat baseline; AIAC rank 6
    (``lstm_nextvlad``: 512 wide, dropout 0.2, no gate). ``se_ratio``: bottleneck of the gate; None leaves it out."""

    def __init__(
        self,
        frame_dim: int,
        output_dim: int = 1024,
        clusters: int = 64,
        groups: int = 8,
        expansion: int = 2,
        dropout: float = 0.3,
        se_ratio: int | None = 8,
        respect_mask: bool = True,
    ):
        super().__init__()
        self.vlad = NextVlad(
            frame_dim, output_dim, clusters=clusters, groups=groups, expansion=expansion, dropout=dropout, respect_mask=respect_mask,
        )  # fmt: skip
        self.gate = nn.Identity() if se_ratio is None else SqueezeExcite(output_dim, ratio=se_ratio)
        self.output_dim = output_dim

    def forward(self, batch: Batch) -> States:
        return from_vector(self.gate(self.vlad(batch.frames, batch.frame_mask)))


class PreNormLayer(nn.Module):
    """x + W_o attention(LN(x)), then x + FFN(LN(x)), on [B, L, D]. Heads may be wider than D / heads. ``dropout``:
    after both parts and inside the feed-forward one; attention weights have none."""

    def __init__(self, dim: int, heads: int, head_dim: int, ffn: int, dropout: float):
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
    Random weights of torch's default kind. Used by: AIAC rank 17, first model (28,323,840 parameters a layer). Raises
    ValueError: more frames than positions.

    Args:
        respect_mask: padded frames are not attended to; false is quirk C7-2, and then the result depends on how far a
            batch is padded.
        init: of the first slot: normal with standard deviation 0.02, or uniform in [0, 1) (quirk C7-3).
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
    ):
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
        frames = with_places("VideoTransformer", batch.frames, self.position_embeddings)
        hidden = self.dropout(torch.cat([self.first.expand(len(frames), 1, -1), frames], dim=1))
        mask = F.pad(batch.frame_mask, (1, 0), value=True)  # the first slot is always there: no row is without a key
        key_mask = mask[:, None, None, :] if self.respect_mask else None
        for layer in self.layers:
            hidden = layer(hidden, key_mask)
        weight = mask.unsqueeze(-1)
        return States(hidden[:, 1:], batch.frame_mask, (hidden * weight).sum(dim=1) / weight.sum(dim=1))


class MeanFrames(nn.Module):
    """The mean frame, standardised over the batch, through one linear map and a layer norm; ``pooled`` [B, output_dim].
    No competition's system had it. Used by: a variant of the WeChat baseline (``bags``)."""

    def __init__(self, frame_dim: int, output_dim: int = 256, dropout: float = 0.3):
        super().__init__()
        self.standardise = nn.BatchNorm1d(frame_dim, affine=False)
        self.project = nn.Linear(frame_dim, output_dim)
        self.norm, self.dropout = nn.LayerNorm(output_dim), nn.Dropout(dropout)
        self.output_dim = output_dim

    def forward(self, batch: Batch) -> States:
        mean = jointly(self.standardise, self.standardise, masked_mean(batch.frames, batch.frame_mask))
        return from_vector(self.dropout(self.norm(self.project(mean))))
