"""Fusions of two streams by cross-attention: BERT cut at a layer, two cross stacks, and several fusions of one encoding.

Their systems published no code: what they rest on is named by its entry (U1, U7, ...) in the register of uncertain points.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from lib.models.bert import layers, resolve_backbone, run_layers
from lib.models.fusion import CrossTransformer, checked_width, joined
from lib.models.heads import side_means
from lib.models.sequences import masked_mean
from lib.models.video_model import Joint, States


class SplitStream(nn.Module):
    """The upper layers of a BERT whose lower layers have read the text alone (``BertText`` with ``layers`` = ``split``).

    Without ``cross`` they read [text; frames] as one sequence, states [B, T + F, D] (Li et al. 2022, ALPRO,
    arXiv:2112.09583). With it they read the text, and look at the frames between self-attention and feed-forward, states
    [B, T, D] (Li et al. 2021, ALBEF, arXiv:2107.07651); cross-attention starts from random numbers. ``split`` is a share of
    the layers: 0.5 of twelve are six. ``frame_layers``: layers in which the frames look at the text in turn, random at start,
    their states after the text's, for objectives on frames (two is a guess). 3rd of the WeChat final: one team's first
    model (A1; the survey guesses the split, A-1), the other's ALBEF (L3). Raises ValueError: other widths than the backbone's."""

    def __init__(
        self,
        text_dim: int,
        frames_dim: int,
        backbone: str,
        split: float = 0.5,
        cross: bool = False,
        frame_layers: int = 0,
        dropout: float | None = None,
    ):
        super().__init__()
        resolved = resolve_backbone(backbone, dropout=dropout)
        self.output_dim = checked_width("SplitStream", text_dim, frames_dim, backbone, resolved.config.hidden_size)
        self.layer = resolved.layers(split, cross=cross)
        self.frame_layer = layers(resolved.config, frame_layers, cross=True)
        self.cross = cross

    def forward(self, text: States, frames: States) -> Joint:
        if not self.cross:
            joint = joined(text.hidden, text.mask, frames.hidden, frames.mask)
            joint.hidden = run_layers(self.layer, joint.hidden, joint.mask)
            return joint
        seeing = run_layers(self.layer, text.hidden, text.mask, frames.hidden, frames.mask)
        if not len(self.frame_layer):
            return Joint(seeing, text.mask, text_index=torch.arange(seeing.shape[1], device=seeing.device))
        seen = run_layers(self.frame_layer, frames.hidden, frames.mask, text.hidden, text.mask)
        return joined(seeing, text.mask, seen, frames.mask)


class CrossStacks(nn.Module):
    """Two stacks of self-attention, cross-attention and feed-forward, one for each stream; neither sees the other's output.

    The text looks at the pictures' own vectors, whatever their width; the pictures, mapped to the backbone's width if
    ``project``, look at the text. States are [text; pictures], [B, T + L, D]; layers start from random numbers. Xie et al.
    2022, R2D2, arXiv:2205.03860. ``over``: ``frames`` has one vector a frame; ``patches`` averages each place of the grid over
    the frames, L = P, needs ``PatchFrames``, loses the order of time (A-2) and leaves no state of a single frame. 3rd of the
    WeChat final (A4, A5; U7: what the survey's names of the two mean is a guess). Raises ValueError: text of another width
    than the backbone's."""

    def __init__(
        self,
        text_dim: int,
        frames_dim: int,
        backbone: str,
        depth: int = 6,
        over: Literal["frames", "patches"] = "frames",
        dropout: float | None = None,
        project: bool = True,
    ):
        super().__init__()
        config = resolve_backbone(backbone, dropout=dropout).config
        self.output_dim = checked_width("CrossStacks", text_dim, text_dim, backbone, config.hidden_size)
        self.text_layer = layers(config, depth, cross=True, key_width=frames_dim)
        self.image_layer = layers(config, depth, cross=True)
        self.project = nn.Linear(frames_dim, text_dim) if project else nn.Identity()
        self.over = over

    def pictures(self, frames: States) -> tuple[Tensor, Tensor]:
        """What the pictures are: vectors [B, L, N] and their mask [B, L]."""
        if self.over == "frames":
            return frames.hidden, frames.mask
        if frames.source is None or frames.source.ndim != 4:
            raise ValueError("CrossStacks over patches needs patches: frames PatchFrames, images with tokens: patches")
        grid = masked_mean(frames.source.flatten(2), frames.mask).unflatten(1, frames.source.shape[2:])
        return grid, frames.mask.any(dim=1, keepdim=True).expand(-1, grid.shape[1])

    def forward(self, text: States, frames: States, project: nn.Module | None = None) -> Joint:
        """``project``: in place of the own map, where fusions share one."""
        pictures, mask = self.pictures(frames)
        queries = (project or self.project)(pictures)
        t = run_layers(self.text_layer, text.hidden, text.mask, pictures, mask)
        return joined(t, text.mask, run_layers(self.image_layer, queries, mask, text.hidden, text.mask), mask)


class SharedFusions(nn.Module):
    """Several fusions of one encoding, each with its own pooled vector: ``pooled`` is [B, sum of their widths].

    ``joint``: ``CrossTransformer`` without tables, its mean; ``frames``, ``patches``: ``CrossStacks``, the mean of either
    stream. One map of the pictures serves all; the states are those of the first part. 3rd of the WeChat final: A3-A5 behind
    one pass of the encoders (head ``SideBySide`` with ``widths: [1, 2, 2]``)."""

    def __init__(
        self,
        text_dim: int,
        frames_dim: int,
        backbone: str,
        depth: int = 6,
        parts: Sequence[Literal["joint", "frames", "patches"]] = ("joint", "frames", "patches"),
        dropout: float | None = None,
    ):
        super().__init__()
        config = resolve_backbone(backbone, dropout=dropout).config
        heads, inner, rate = config.num_attention_heads, config.intermediate_size, config.hidden_dropout_prob
        self.project = nn.Linear(frames_dim, text_dim)
        self.parts = nn.ModuleDict(
            {
                part: CrossTransformer(text_dim, text_dim, 0, depth, heads, inner, positions=0, dropout=rate)
                if part == "joint"
                else CrossStacks(text_dim, frames_dim, backbone, depth, part, dropout, project=False)
                for part in parts
            }
        )
        self.output_dim = text_dim
        self.pooled_dim = sum(text_dim if part == "joint" else 2 * text_dim for part in parts)

    def forward(self, text: States, frames: States) -> Joint:
        first, pooled = None, []
        for part, fusion in self.parts.items():
            if part == "joint":
                joint = fusion(text, States(self.project(frames.hidden), frames.mask))
                pooled.append(masked_mean(joint.hidden, joint.mask))
            else:
                joint = fusion(text, frames, self.project)
                pooled.extend(side_means("SharedFusions", joint))
            first = first or joint
        assert first is not None
        first.pooled = torch.cat(pooled, dim=-1)
        return first
