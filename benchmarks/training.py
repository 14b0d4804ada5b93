"""Pretraining of the AIAC rank 1 system, in videos per second: ``python -m benchmarks.training [--device cuda]``.

Ours is the trainer as recipes use it. Naive does what the original does: ``benchmarks.naive`` for the data, everything
padded to 32 frames and 36 pieces, logits over the whole vocabulary at every position, tag logits in every step, a plain
loop that fetches the loss each time, float32. Same model, same objectives, same vocabulary of 21,128 pieces, same
optimizer. Target: 3 times the samples per second on a CPU.
"""

from __future__ import annotations

import argparse

import torch
from accelerate import Accelerator
from torch import nn

from benchmarks.corpus import prepare
from benchmarks.measure import keep, race
from benchmarks.naive import FRAMES, TOKENS, EveryPositionMaskedTokens, NaiveLoader, NaiveVideos
from lib.data.batch import SpecialIds
from lib.data.store import Store
from lib.features.loader import Assembler, Items, TrainLoader
from lib.features.sets import TokenSet
from lib.models import Embeddings, FrameProjection, MeanPool, Projection, SingleStream
from lib.models.bert import resolve_backbone
from lib.models.video_model import VideoModel
from lib.objectives import MaskedFrames, MaskedTokens, TagBCE
from lib.objectives.mix import ObjectiveMix
from lib.training.divergence import Rewind
from lib.training.optimizers import build_optimizer
from lib.training.schedule import WarmupCosine
from lib.training.seed import generator_for
from lib.training.trainer import Settings, Task, Trainer

TARGET = 3.0
VOCABULARY = 21128  # of the published backbone; a generated corpus uses a part of it
RATES = {"backbone": 5e-5, "rest": 5e-4}


def unibert(
    backbone: str,
    *,
    frame_dim: int,
    num_tags: int,
    special: SpecialIds,
    masked_tokens: type[MaskedTokens] = MaskedTokens,
    include_padding: bool = False,
) -> Task:
    """Job 1 of AIAC rank 1 around a backbone of random weights, with its three pretraining objectives."""
    torch.manual_seed(0)
    hidden = resolve_backbone(backbone).config.hidden_size
    model = VideoModel(
        text=Embeddings(backbone, VOCABULARY),
        frames=FrameProjection(frame_dim, hidden),
        fusion=SingleStream(backbone, hidden, hidden, layout="cls_first"),
        pooling=MeanPool(hidden, include_padding=include_padding),
        head=Projection(hidden, 256),
    )
    terms = {
        "tags": (TagBCE(num_tags, {"cls": hidden}, input="cls"), 1250 / 3),
        "tokens": (masked_tokens(hidden, VOCABULARY, special), 1 / 3.75),
        "frames": (MaskedFrames(hidden, frame_dim), 1 / 9),
    }
    return Task(model, ObjectiveMix(terms))


def trainer_of(task: Task, accelerator: Accelerator, *, rewind: bool = True) -> Trainer:
    """The trainer as a recipe would get it."""
    return Trainer(
        task,
        accelerator,
        build_optimizer(task.named_parameters(), lr=RATES),
        WarmupCosine(total_steps=100_000),
        Settings(progress="off"),
        rewind=Rewind() if rewind else None,
    )


class Ours:
    """Steps of the trainer over the loader that recipes use."""

    def __init__(
        self, backbone: str, store: Store, tokens: TokenSet, rows, batch_size: int, accelerator: Accelerator
    ) -> None:
        rules = {"layout": "cls_sep_title", "text_length": TOKENS, "frames_length": FRAMES, "sample": "linspace_round"}
        self.loader = TrainLoader(
            Assembler(store, tokens, **rules, tags=True), Items(rows), batch_size, seed=0, bucket=True
        )
        task = unibert(
            backbone, frame_dim=store.frame_dim, num_tags=len(store.manifest["tags"]), special=tokens.special
        )
        self.trainer = trainer_of(task, accelerator)

    def __call__(self, steps: int) -> int:
        before = self.trainer.state.samples
        self.trainer.fit(self.loader, self.trainer.state.step + steps)
        return self.trainer.state.samples - before


class Naive:
    """A plain loop, as in the original scripts."""

    def __init__(
        self, backbone: str, store: Store, tokens: TokenSet, rows, batch_size: int, device: torch.device
    ) -> None:
        self.stream = iter(NaiveLoader(NaiveVideos(store, tokens, rows), batch_size))
        self.device = device
        num_tags = len(store.manifest["tags"])
        self.task = unibert(
            backbone, frame_dim=store.frame_dim, num_tags=num_tags, special=tokens.special,
            masked_tokens=EveryPositionMaskedTokens, include_padding=True,
        ).to(device)  # fmt: skip
        decays = [p for p in self.task.parameters() if p.ndim > 1], [p for p in self.task.parameters() if p.ndim <= 1]
        groups = [{"params": decays[0], "weight_decay": 0.01}, {"params": decays[1], "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=5e-5, eps=1e-6, foreach=False, fused=False)
        self.step = 0

    def __call__(self, steps: int) -> int:
        samples = 0
        self.task.train()
        for _ in range(steps):
            self.step += 1
            batch = self.task.mix.corrupt(next(self.stream), generator_for(0, self.step)).to(self.device)
            total, _ = self.task(batch)
            self.optimizer.zero_grad()
            total.backward()
            nn.utils.clip_grad_norm_(self.task.parameters(), 1.0)
            self.optimizer.step()
            total.item()
            samples += len(batch)
        return samples


def run(backbone: str, videos: int, store: str, batch_size: int, steps: int, rounds: int, device: str) -> dict:
    opened, tokens = prepare(videos, store)
    rows = opened.rows("pointwise", "pairwise")
    rows = rows[opened.tags_csr()[2][rows]]
    accelerator = Accelerator(cpu=device == "cpu", mixed_precision="bf16" if device == "cuda" else "no")
    if device == "cuda":
        torch.set_float32_matmul_precision("high")  # the original ran with TF32
    ours = Ours(backbone, opened, tokens, rows, batch_size, accelerator)
    naive = Naive(backbone, opened, tokens, rows, batch_size, accelerator.device)
    result = race(lambda: ours(steps), lambda: naive(max(1, steps // 4)), rounds=rounds, device=device)
    parameters = sum(parameter.numel() for parameter in naive.task.parameters())
    return {
        "backbone": backbone,
        "parameters": parameters,
        "tags": len(opened.manifest["tags"]),
        "batch": batch_size,
        "precision": "bf16 against fp32" if device == "cuda" else "fp32",
        **result,
        "target": TARGET,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backbones", nargs="+", default=["small-2x64", "small-4x256"], help="sizes as layers x width")
    parser.add_argument("--videos", type=int, default=4000)
    parser.add_argument("--store", default="", help="a store to use instead of a generated one")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--steps", type=int, default=8, help="of ours in a round; naive takes a quarter of them")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda" if torch.cuda.is_available() else "cpu")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    settings = (
        arguments.videos,
        arguments.store,
        arguments.batch_size,
        arguments.steps,
        arguments.rounds,
        arguments.device,
    )
    rows = [run(backbone, *settings) for backbone in arguments.backbones]
    path = keep(
        "training",
        arguments.device,
        rows,
        {"corpus": arguments.store or f"generated pairs, {arguments.videos} videos", "vocabulary": VOCABULARY},
    )
    for row in rows:
        print(
            f"{row['backbone']}: {row['ours_per_second']:,.0f} against {row['naive_per_second']:,.0f} videos/s: {row['ratio']} times (target {TARGET:g})"
        )
    print(path.name)


if __name__ == "__main__":
    main()
