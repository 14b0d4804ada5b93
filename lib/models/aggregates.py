"""Many descriptions of a video's frames side by side: clusters, bottleneck tokens, and how fast the picture changes."""

from collections.abc import Sequence
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lib.models import bert
from lib.models.frame_encoders import NextVlad
from lib.models.heads import side_means
from lib.models.processes import jointly
from lib.models.sequences import SequenceNorm, batch_norm
from lib.models.video_model import Joint

Kind = Literal["netvlad", "netrvlad", "softdbow", "netfv"]
Aggregate = Literal[
    "first_frame", "nextvlad", "netvlad", "netrvlad", "softdbow", "netfv", "bottleneck",
    "similarity1", "similarity2", "similarity3",
]  # fmt: skip
ALL: tuple[Aggregate, ...] = get_args(Aggregate)  # in the survey's order


class Vlad(nn.Module):
    """Frames softly assigned to clusters, and what each cluster gathers, projected: [B, F, N] -> [B, output_dim].

    ``netvlad``: sums of the residuals to trained centres, of length one per cluster and again in all; ``netrvlad``: without
    centres; ``softdbow``: only how much falls to each cluster; ``netfv``: first and second moments, as Fisher vectors, the
    second of length one in all only. Miech et al. 2017, arXiv:1706.06905 (LOUPE); 6th of the WeChat final. ``gating``: context
    gating of the result; ``momentum`` of the batch norms: LOUPE's is 0.001, for hundreds of thousands of updates. Padded
    frames belong to no cluster and no statistic; the original has no mask (M1q)."""

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        kind: Kind,
        *,
        clusters: int = 32,
        gating: bool = True,
        momentum: float = 0.1,
    ):
        super().__init__()

        def table(*shape: int, mean: float = 0.0, fan: int = input_dim) -> nn.Parameter:
            return nn.Parameter(torch.empty(shape).normal_(mean, fan**-0.5))

        self.kind, self.output_dim = kind, output_dim
        self.assign = table(input_dim, clusters)
        self.norm = SequenceNorm(clusters, eps=1e-3, momentum=momentum)
        self.centres = table(input_dim, clusters) if kind in ("netvlad", "netfv") else None
        self.spread = table(input_dim, clusters, mean=1.0) if kind == "netfv" else None
        width = {"softdbow": clusters, "netfv": 2 * clusters * input_dim}.get(kind, clusters * input_dim)
        self.project = table(width, output_dim, fan=clusters)
        self.gate = table(output_dim, output_dim, fan=output_dim) if gating else None
        self.gate_norm = nn.BatchNorm1d(output_dim, eps=1e-3, momentum=momentum) if gating else None

    def describe(self, frames: Tensor, mask: Tensor) -> Tensor:
        """The descriptor before projection: frames [B, F, N], mask bool [B, F] -> [B, K], [B, N·K] or [B, 2·N·K]."""
        share = torch.softmax(self.norm((frames @ self.assign).transpose(1, 2), mask).float(), dim=1)  # [B, K, F]
        share = share * mask.unsqueeze(1)
        mass = share.sum(dim=2).unsqueeze(1)  # [B, 1, K]
        if self.kind == "softdbow":
            return F.normalize(mass.squeeze(1), dim=-1)
        first = (share @ frames.float()).transpose(1, 2)  # [B, N, K]
        if self.spread is None or self.centres is None:
            return _unit(first if self.centres is None else first - mass * self.centres)
        centres, spread = self.centres, self.spread.square() + 1e-6
        second = (share @ frames.float().square()).transpose(1, 2) + mass * centres.square() - 2 * centres * first
        second = second / spread.square() - mass
        return torch.cat([_unit((first - mass * centres) / spread), F.normalize(second.flatten(1), dim=-1)], dim=-1)

    def forward(self, frames: Tensor, mask: Tensor) -> Tensor:
        y = self.describe(frames, mask) @ self.project
        gate, norm = self.gate, self.gate_norm
        return y if gate is None or norm is None else jointly(norm, lambda all: context_gating(all, gate, norm), y)


def context_gating(y: Tensor, weight: Tensor, norm: nn.BatchNorm1d) -> Tensor:
    """y · sigmoid(norm(y W)) on [B, D]."""
    return y * torch.sigmoid(batch_norm(norm, y @ weight))


def _unit(gathered: Tensor) -> Tensor:
    """[B, N, K] -> [B, N·K], each cluster of length one, then the whole; index = feature · K + cluster."""
    return F.normalize(F.normalize(gathered, dim=1).flatten(1), dim=-1)


class Bottleneck(nn.Module):
    """Fusion through a few tokens: frames see frames and tokens, text sees text and tokens, tokens see all; [B, D].
    Nagrani et al. 2021, arXiv:2107.00135, in one pass with a mask, as a neighbour of the contest has it, where all see padding
    (``respect_mask``: false); sizes are [I] U10."""

    def __init__(
        self,
        dim: int,
        *,
        tokens: int = 4,
        depth: int = 2,
        heads: int | None = None,
        ffn: int | None = None,
        respect_mask: bool = True,
    ):
        super().__init__()
        self.tokens = nn.Parameter(torch.empty(tokens, dim).normal_(0.0, bert.init_std(dim)))
        self.layer = bert.layers(bert.stack_config(dim, heads, ffn), depth)
        self.respect_mask, self.output_dim = respect_mask, dim

    def states(self, frames: Tensor, frames_mask: Tensor, text: Tensor, text_mask: Tensor) -> Tensor:
        """[frames; tokens; text], [B, F + n + T, D]."""
        count = len(self.tokens)
        group = torch.tensor([0] * frames.shape[1] + [1] * count + [2] * text.shape[1], device=text.device)
        own = (group[:, None] == group) | (group == 1) | (group[:, None] == 1)
        mask = own.expand(len(text), 1, -1, -1)
        if self.respect_mask:
            there = torch.cat([frames_mask, frames_mask.new_ones(len(text), count), text_mask], dim=1)
            mask = mask & there[:, None, None, :]
        hidden = torch.cat([frames, self.tokens.expand(len(text), -1, -1), text], dim=1)
        return bert.run_layers(self.layer, hidden, mask)

    def forward(self, frames: Tensor, frames_mask: Tensor, text: Tensor, text_mask: Tensor) -> Tensor:
        """The mean of the tokens, [B, D]."""
        first = frames.shape[1]
        return self.states(frames, frames_mask, text, text_mask)[:, first : first + len(self.tokens)].mean(dim=1)


def frame_similarity(frames: Tensor, mask: Tensor, shift: int, slots: int) -> Tensor:
    """cos(x_f, x_f+shift) of [B, F, N]; 0 where a frame is missing or padded: [B, slots - shift]."""
    alike = F.cosine_similarity(frames[:, :-shift], frames[:, shift:], dim=-1) * (mask[:, :-shift] & mask[:, shift:])
    return F.pad(alike, (0, slots - shift - alike.shape[1]))


class Aggregates(nn.Module):
    """[mean of the text; mean of the frames; aggregates of the frames before fusion], behind the fusion: [B, output_dim].

    Aggregates read the frames' projections (``States.source`` of ``VideoLayers``, else their states), the similarities the
    features as stored (M5q: zeros for videos too short). ``clusters``, ``width`` and ``momentum`` are of ``Vlad``, ``tokens`` of
    ``Bottleneck``. 6th of the WeChat final: which and in which order the survey says, all sizes are guesses (U10)."""

    def __init__(
        self,
        input_dim: int,
        text_dim: int,
        frames_dim: int,
        num_frame_slots: int,
        of: Sequence[Aggregate] = ALL,
        clusters: int = 32,
        width: int = 512,
        nextvlad_width: int = 1024,
        nextvlad_clusters: int = 64,
        tokens: int = 4,
        momentum: float = 0.1,
    ):
        super().__init__()
        if unknown := [name for name in of if name not in ALL]:
            raise ValueError(f"Aggregates: no aggregate {unknown[0]!r}; there are {', '.join(ALL)}")
        if "bottleneck" in of and text_dim != frames_dim:
            raise ValueError(
                f"Aggregates: bottleneck joins text {text_dim} and frames {frames_dim} wide; they must be equal"
            )
        self.of, self.slots = tuple(of), num_frame_slots
        dims = {"first_frame": frames_dim} | {f"similarity{shift}": num_frame_slots - shift for shift in (1, 2, 3)}
        parts: dict[str, NextVlad | Bottleneck | Vlad] = {}
        for name in of:
            if name == "nextvlad":
                parts[name] = NextVlad(frames_dim, nextvlad_width, clusters=nextvlad_clusters)
            elif name == "bottleneck":
                parts[name] = Bottleneck(frames_dim, tokens=tokens)
            elif name in get_args(Kind):
                kind: Any = name
                parts[name] = Vlad(frames_dim, width, kind, clusters=clusters, momentum=momentum)
        dims |= {name: part.output_dim for name, part in parts.items()}
        self.parts = nn.ModuleDict(parts)
        self.output_dim = 2 * input_dim + sum(dims[name] for name in of)

    def forward(self, joint: Joint) -> Tensor:
        text, states, features = joint.text, joint.frames, joint.features
        assert text is not None and states is not None and features is not None  # VideoModel gives them
        frames, mask = states.hidden if states.source is None else states.source, states.mask

        def one(name: str) -> Tensor:
            if name == "first_frame":
                return frames[:, 0] * mask[:, :1]
            if name.startswith("similarity"):
                return frame_similarity(features, mask, int(name[-1]), self.slots)
            sides = (frames, mask, text.hidden, text.mask) if name == "bottleneck" else (frames, mask)
            return self.parts[name](*sides)

        return torch.cat([*side_means("Aggregates", joint), *(one(name) for name in self.of)], dim=-1)
