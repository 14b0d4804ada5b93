"""Text beside frames: vectors of a video's parts are pulled together and those of different videos apart."""

from collections.abc import Mapping
from itertools import combinations
from typing import Any, Literal

import torch
from torch import Tensor, nn

from lib.data.batch import IGNORE, Batch, View
from lib.models.sequences import masked_mean
from lib.models.video_model import Outputs, States
from lib.objectives.contrast import Contrast, Keys, hidden, mean, unit
from lib.objectives.mix import needed


class VideoTextAlignment(Contrast):
    """Two-way InfoNCE of a text vector and a frame vector [B, E] of each video, half the sum of both directions.

    Also called VTA, VTC, ITC or the clip task. Reconstruction for the WeChat 2022 final: which states are compared before
    the output layer is inference, as are the numbers (U2, U8).

    Args:
        at: alone: each side through the whole model without the other; encoders: what the encoders say before fusion;
            fused: the text's and the frames' states after fusion, which have seen each other.
        dim: E, by a linear map for each side; None compares the states themselves.
        pool: mean over the real states, or the first.
        positives: own, or category: videos of one category belong together too (needs no queue).
        queue, contrast: as of ``Contrast``.
    """

    def __init__(
        self,
        input_dim: int,
        text_dim: int,
        frames_dim: int,
        at: Literal["alone", "encoders", "fused"] = "alone",
        dim: int | None = 256,
        pool: Literal["mean", "first"] = "mean",
        positives: Literal["own", "category"] = "own",
        *,
        queue: int = 0,
        **contrast: Any,
    ) -> None:
        widths = {"text": text_dim, "frames": frames_dim} if at == "encoders" else dict.fromkeys(SIDES, input_dim)
        project = nn.ModuleDict({side: nn.Linear(widths[side], dim) if dim else nn.Identity() for side in SIDES})
        super().__init__(SIDES, project, dim or input_dim, queue=queue, **contrast)
        if queue and positives == "category":
            raise ValueError("VideoTextAlignment: a queue holds no categories; set queue: 0 or positives: own")
        self.at, self.pool, self.positives = at, pool, positives

    def views(self, clean: Batch, batch: Batch, generator: torch.Generator) -> dict[str, View]:
        if self.at == "alone":
            return {"text": View(clean, "text"), "frames": View(clean, "frames")}
        return {"both": View(clean)}

    def vectors(self, seen: Mapping[str, Outputs], project: Any) -> dict[str, Keys]:
        found = {}
        for side in SIDES:
            outputs = seen[side if self.at == "alone" else "both"]
            states = outputs.joint if self.at == "alone" else getattr(outputs, side)
            if self.at == "fused":
                index = outputs.text_index if side == "text" else outputs.frame_index
                states = States(outputs.joint.hidden.index_select(1, index), outputs.joint.mask.index_select(1, index))
            pooled = states.hidden[:, 0] if self.pool == "first" else masked_mean(states.hidden, states.mask)
            real = outputs.batch.frame_mask if side == "frames" else outputs.batch.text_mask  # pyright: ignore
            found[side] = unit(project[side](pooled), real.any(dim=1))
        return found

    def forward(self, outputs: Mapping[str, Outputs], batch: Batch, /) -> Tensor:
        own, keys, twins, _ = self.keyed(outputs)
        if self.at != "alone":
            scores = own["text"].vectors @ own["frames"].vectors.T * self.scale()
            outputs["both"].similarity = scores.detach()
        same = None
        if self.positives == "category":
            category = needed(batch.category, "VideoTextAlignment", "batch.category").float()
            itself = torch.eye(len(category), dtype=torch.bool, device=category.device)
            same = itself | ((category[:, None] == category) & (category[:, None] != IGNORE))
        ways = [self.ask(own[a], keys[b], twins[a], same) for a, b in (("text", "frames"), ("frames", "text"))]
        return torch.stack(ways).mean()


SIDES = ("text", "frames")
# what a video's parts are called, and the fields of the packed layout that each has; none: its frames
PARTS: dict[str, dict[str, tuple[int, ...]]] = {
    "pairs": {"frames": (), "title": (0,), "ocr": (1,), "asr": (2,)},
    "combinatorial": {"frames": (), "title": (0,), "speech": (1, 2)},
    "tcl": {"frames": (), "text": (0, 1, 2)},
}


class ModalAlignment(Contrast):
    """Multi-modal alignment: contrasts between a video's frames, title, OCR and ASR, each encoded without the others, [B, E].

    Published are "three kinds, six tasks" and that a modality is left out at random; what they are is inference (U1):

    pairs: InfoNCE of each two of the four, mean over those that the batch has.
    combinatorial: frames, title and OCR with ASR; each two, and each one against the other two encoded together (Shvetsova
        et al. 2021, arXiv:2112.04446).
    tcl: frames and text; across, within either side against the momentum copy, and each side's vector against the
        copy's single states (Yang et al. 2022, arXiv:2202.10401). Needs a queue.

    Args:
        drop: probability that a step leaves one of the four out, tokens and all, unless a video has nothing else.
        queue, contrast: as of ``Contrast``.
    """

    def __init__(
        self,
        input_dim: int,
        kinds: Literal["pairs", "combinatorial", "tcl"] = "pairs",
        dim: int = 256,
        drop: float = 1.0,
        *,
        queue: int = 4096,
        **contrast: Any,
    ) -> None:
        if kinds == "tcl" and not queue:
            raise ValueError("ModalAlignment: kinds: tcl compares with a momentum copy; set a queue")
        parts = PARTS[kinds]
        tasks = list(combinations(parts, 2))
        if kinds == "combinatorial":
            tasks += [(a, "+".join(b for b in parts if b != a)) for a in parts]
        names = list(dict.fromkeys(name for task in tasks for name in task))
        super().__init__(names, nn.Linear(input_dim, dim), dim, queue=queue, **contrast)
        self.kinds, self.tasks, self.drop = kinds, tasks, drop
        self.names = {name: [parts[part] for part in name.split("+")] for name in names}

    def corrupt(self, batch: Batch, generator: torch.Generator) -> Batch:
        chance, which = float(torch.rand((), generator=generator)), int(torch.randint(4, (), generator=generator))
        if chance >= self.drop:
            return batch
        has = torch.stack([batch.frame_mask.any(1), *(self._has(batch, (field,)) for field in range(3))])
        gone = has[which] & (has.sum(dim=0) > 1)
        if which:
            field = needed(batch.field, "ModalAlignment", "batch.field (features.text.layout: packed)")
            return batch.keep_tokens(~(gone[:, None] & (field == which - 1)))
        left = batch.frame_mask & ~gone[:, None]
        longest = max(1, int(left.sum(dim=1).max()))
        cut = {name: value[:, :longest] for name, value in batch.of_frames().items()}
        return batch.replace(**cut | {"frame_mask": left[:, :longest]})

    @staticmethod
    def _has(batch: Batch, fields: tuple[int, ...]) -> Tensor:
        """bool [B]: which videos have a token of these fields, or, of none, a frame."""
        if not fields:
            return batch.frame_mask.any(dim=1)
        field = needed(batch.field, "ModalAlignment", "batch.field (features.text.layout: packed)")
        return torch.stack([(field == number).any(dim=1) for number in fields]).any(dim=0)

    def views(self, clean: Batch, batch: Batch, generator: torch.Generator) -> dict[str, View]:
        """Of the batch as it was, but what ``corrupt`` left out is left out here; parts that no video has are not seen."""
        field = needed(clean.field, "ModalAlignment", "batch.field (features.text.layout: packed)")
        there = {number: self._has(batch, (number,)) for number in range(3)}
        shown = clean.replace(frame_mask=clean.frame_mask & batch.frame_mask.any(dim=1, keepdim=True))
        found = {}
        for name, parts in self.names.items():
            fields, with_frames = [number for part in parts for number in part], () in parts
            keep = field < 0
            for number in fields:
                keep = keep | ((field == number) & there[number][:, None])
            if with_frames and not shown.frame_mask.any() or fields and not (keep & (field >= 0)).any():
                continue
            view = shown.keep_tokens(keep) if fields else shown
            found[name] = View(view, "both" if with_frames and fields else "frames" if with_frames else "text")
        return found

    def vectors(self, seen: Mapping[str, Outputs], project: nn.Module) -> dict[str, Keys]:
        found, like = {}, next(iter(seen.values())).joint.hidden
        for name, parts in self.names.items():
            pooled, real = like.new_zeros(len(like), like.shape[-1]), like.new_zeros(len(like), dtype=torch.bool)
            if (outputs := seen.get(name)) is not None:
                pooled = masked_mean(outputs.joint.hidden, outputs.joint.mask)
                real = torch.stack([self._has(outputs.batch, part) for part in parts]).all(dim=0)  # pyright: ignore
            found[name] = unit(project(pooled), real)
        return found

    def forward(self, outputs: Mapping[str, Outputs], batch: Batch, /) -> Tensor:
        own, keys, twins, copied = self.keyed(outputs)
        losses, weights = [], []
        for a, b in self.tasks:
            count = len(own[a].real)
            both = keys[a].real[:count] & keys[b].real[:count]  # a video that lacks one is no negative either
            left, right = (Keys(k.vectors, torch.cat([both, k.real[count:]])) for k in (keys[a], keys[b]))
            losses.append((self.ask(own[a], right, twins[a]) + self.ask(own[b], left, twins[b])) / 2)
            weights.append(both.any())
        if self.kinds == "tcl":
            losses = [2 * losses[0], *(self.ask(own[side], keys[side]) for side in own)]
            for side, asking in own.items():
                local = asking.vectors.sum(dim=1)  # where the step has left the side out: none is real
                if side in copied:
                    local = local_losses(asking.vectors, self.states(side, copied[side]), self.scale())
                losses.append(mean(local, asking.real))
            return torch.stack(losses).sum() / 6
        weight = torch.stack(weights)
        return (torch.stack(losses) * weight).sum() / weight.sum().clamp(min=1)

    @torch.no_grad()
    def states(self, side: str, copied: Outputs) -> Keys:
        """The momentum copy's states of one side [B, L, E]."""
        return unit(self.copy.copies["project"](copied.joint.hidden), copied.joint.mask)  # pyright: ignore


def local_losses(vectors: Tensor, states: Keys, scale: Tensor) -> Tensor:
    """[B]: cross entropy of each of a video's own states [B, L, E] against all states of other videos, mean over its own."""
    scores = torch.einsum("ae,ble->abl", vectors, states.vectors) * scale
    itself = torch.eye(len(scores), dtype=torch.bool, device=scores.device)
    own = scores[itself]
    others = hidden(scores, states.real & ~itself[..., None]).flatten(1).logsumexp(dim=1, keepdim=True)
    return ((torch.logaddexp(own, others) - own) * states.real).sum(dim=1) / states.real.sum(dim=1).clamp(min=1)
