"""NeXtVLAD: a set of frames as its residuals to learned centres (Lin et al. 2018, arXiv:1811.05014)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class NextVlad(nn.Module):
    """Grouped, attention-weighted soft assignment of frames to clusters.

    The expanded frame is cut into G groups; each group g of frame f has an attention a = sigmoid(...) and a softmax
    over the K clusters; a cluster collects the weighted residuals of all groups and frames, each cluster is scaled to
    length one, and the K of them are flattened feature-major (index = feature·K + cluster), so the descriptor has
    length sqrt(K). Invariant to the order of frames. Used by: the WeChat baseline; AIAC rank 6.

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
