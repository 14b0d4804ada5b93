"""Frame encoders: from frame features to states, one per frame or one per video.

``video_transformer`` is one more; what ignores the order of frames and needs no pretraining is in ``bags``.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lib.data.batch import Batch
from lib.models import bert
from lib.models.bert import init_like_bert, init_std
from lib.models.gating import SqueezeExcite
from lib.models.pretrained import resolve_backbone
from lib.models.sequences import InceptionStack, SpatialDropout, nonempty
from lib.models.video_model import States, from_vector


class FrameProjection(nn.Module):
    """Each frame as one word: linear map to the backbone's width, own position and type tables, layer norm, dropout.

    States are [B, F, hidden]. Initialised like BERT. The original reuses BERT's whole embedding class here and so carries a word table that
    nothing ever reads (21,635,072 parameters, quirk A7-14); it is left out.
    Used by: AIAC rank 1.

    Args:
        frame_dim: width of the frame features.
        hidden: width of the backbone.
        positions: rows of the position table; the published one has 512, of which 32 are used.
        dropout: on the sum, after the layer norm.
    """

    def __init__(self, frame_dim: int, hidden: int, positions: int = 512, dropout: float = 0.1) -> None:
        super().__init__()
        self.project = nn.Linear(frame_dim, hidden)
        self.position_embeddings = nn.Embedding(positions, hidden)
        self.token_type_embeddings = nn.Embedding(2, hidden)
        self.LayerNorm = nn.LayerNorm(hidden, eps=1e-12)
        self.dropout = nn.Dropout(dropout)
        init_like_bert(self, init_std(hidden))
        self.output_dim = hidden

    def forward(self, batch: Batch) -> States:
        count = batch.frames.shape[1]
        if count > self.position_embeddings.num_embeddings:
            raise ValueError(
                f"FrameProjection: {count} frames, but positions = {self.position_embeddings.num_embeddings}"
            )
        hidden = (
            self.project(batch.frames) + self.position_embeddings.weight[:count] + self.token_type_embeddings.weight[0]
        )
        return States(self.dropout(self.LayerNorm(hidden)), batch.frame_mask)


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


class NextVlad(nn.Module):
    """NeXtVLAD, Lin et al. 2018, arXiv:1811.05014: grouped, attention-weighted soft assignment of frames to clusters.

    The expanded frame is cut into G groups; each group g of frame f has an attention a = sigmoid(...) and a softmax
    over the K clusters; a cluster collects the weighted residuals of all groups and frames, each cluster is scaled to
    length one, and the K of them are flattened feature-major (index = feature·K + cluster), so the descriptor has
    length sqrt(K). Frames [B, F, N] become [B, output_dim]. Invariant to the order of frames. Used by: the WeChat baseline; AIAC rank 6.

    Args:
        input_dim: width of a frame (N).
        output_dim: width of the result.
        clusters: K.
        groups: G; the baseline's option for it is never passed on, so 8 always ran (quirk B2).
        expansion: factor by which the frame is widened first.
        dropout: on the descriptor.
        respect_mask: padded frames get attention 0. The originals ignore the mask, so that zero frames vote with their
            biases and the result depends on how much padding there is (quirk B1); false restores that.

    Raises:
        ValueError: the expanded width is not a multiple of ``groups``.
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
    ) -> None:
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
    """All frames of a video as one vector: NeXtVLAD, then perhaps a squeeze-and-excitation gate.

    States hold that vector as a sequence of length one, [B, 1, output_dim], and as ``pooled``.
    Used by: the WeChat baseline; AIAC rank 6 (``lstm_nextvlad``: 512 wide, dropout 0.2, no gate).

    Args:
        frame_dim: width of the frame features.
        output_dim: width of the vector.
        clusters, groups, expansion, dropout, respect_mask: see ``NextVlad``; ``respect_mask`` false is quirk B1.
        se_ratio: bottleneck of the gate; None leaves it out.
    """

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
    ) -> None:
        super().__init__()
        self.vlad = NextVlad(
            frame_dim, output_dim, clusters=clusters, groups=groups, expansion=expansion, dropout=dropout, respect_mask=respect_mask,
        )  # fmt: skip
        self.gate = nn.Identity() if se_ratio is None else SqueezeExcite(output_dim, ratio=se_ratio)
        self.output_dim = output_dim

    def forward(self, batch: Batch) -> States:
        return from_vector(self.gate(self.vlad(batch.frames, batch.frame_mask)))
