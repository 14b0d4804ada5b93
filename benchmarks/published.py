"""Steps of published systems at their published size: ``python -m benchmarks.published [--dry-run]``.

The recipes as they stand, from random weights and on random videos: items per second of whole trainer steps and of
inference, peak memory, and against the card's roofline (Williams et al. 2009): operations are matrix products counted by
torch, bytes are those that every operation reads and writes. Eager and compiled; videos as long as the recipe allows, or as
long as the real ones of AIAC 2021 in batches of similar length. The winner's A100 did 258 videos/s of job 1.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.measure import keep, seconds
from lab.corpora.twin.random import facts, from_bins
from lib.data.batch import Batch
from lib.features.loader import MEGABATCH, alike
from lib.models import bert
from lib.recipes.job import Job
from lib.recipes.specs import DeviceSpec
from lib.runs.machine import card
from lib.stages import build
from lib.training.layers import prepare_layers
from lib.training.trainer import Task, Trainer

JOBS = [
    ("aiac_rank1", "pretrain", "base"), ("aiac_rank1", "finetune", "base"), ("wechat_rank72", "finetune", "fgm.without"),
    ("wechat_rank72", "finetune", "base"), ("wechat_rank72", "finetune", "r_drop.with"),
    ("wechat_rank1", "finetune", "fgm.without"), ("wechat_rank1", "finetune", "base"),
]  # fmt: skip
PUBLISHED = {("aiac_rank1", "pretrain"): 258.0}  # items per second on the winner's A100, from the training log
TARGETS = {"per_second": 3000.0, "mfu": 0.5, "peak_gb": 24.0}  # of job 1's pretraining on an H200


class Videos:
    """Random batches of a job, made beforehand: what is measured is the training step. ``real``: lengths as in AIAC 2021."""

    def __init__(self, job: Job, batch_size: int, *, real: bool, batches: int = 4) -> None:
        self.job, self.sizes = job, build.Sizes.published(job.spec.track)
        self.random, count = np.random.default_rng(0), batch_size * (2 if job.kind.name == "pairs" else 1)
        text, frames = (self._lengths(count, real, kind) for kind in ("text", "frames"))
        order = alike(frames, text, count) if real else np.arange(len(text))
        places = order.reshape(-1, count)[self.random.permutation(MEGABATCH)[:batches]]
        self.batches = [self._batch(text[place], frames[place]) for place in places]
        self.steps_per_epoch, self.step = 10**9, 0

    def _lengths(self, count: int, real: bool, kind: str) -> np.ndarray:
        most = self.job.batches["text_length" if kind == "text" else "frames_length"]
        drawn = from_bins(
            self.random.random(count * MEGABATCH),
            facts("aiac2021")["title_length" if kind == "text" else "frame_count"],
        )
        return np.minimum(drawn + 3 * (kind == "text"), most) if real else np.full(count * MEGABATCH, most)

    def _batch(self, text: np.ndarray, frames: np.ndarray) -> Batch:
        """Whatever a recipe's objectives may ask for."""
        sizes, size = self.sizes, len(text)
        generator = torch.Generator().manual_seed(int(self.random.integers(2**31)))
        mask = torch.arange(int(text.max())) < torch.from_numpy(text)[:, None]
        ids = torch.randint(1000, sizes.vocab_size, mask.shape, generator=generator) * mask
        ids[:, 0] = sizes.special_ids.cls
        slots = torch.arange(int(frames.max())) < torch.from_numpy(frames)[:, None]
        batch = Batch(
            rows=torch.arange(size), input_ids=ids, text_mask=mask, token_types=torch.zeros_like(ids),
            frames=torch.randn(*slots.shape, sizes.frame_dim, generator=generator), frame_mask=slots,
            field=torch.where(mask, 0, -1).to(torch.int8),
        )  # fmt: skip
        if self.job.kind.name == "pairs":
            pair = torch.arange(size).reshape(2, -1).T
            return batch.replace(pair=pair, score=torch.rand(len(pair), generator=generator))
        if self.job.spec.track == "classes":
            return batch.replace(category=torch.randint(sizes.num_classes, (size,), generator=generator))
        return batch.replace(tags=(torch.rand(size, sizes.num_tags, generator=generator) < 4e-4).float())

    def __iter__(self) -> Iterator[Batch]:
        while True:
            self.step += 1
            yield self.batches[self.step % len(self.batches)]

    def state_dict(self) -> dict[str, int]:
        return {"step": self.step}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.step = state["step"]


def trainer_of(job: Job, accelerator: Accelerator) -> Trainer:
    """The trainer that a job would get, around a model of random weights; it saves nothing."""
    torch.manual_seed(0)
    sizes, load_into = build.Sizes.published(job.spec.track), bert.Backbone.load_into
    try:
        bert.Backbone.load_into = lambda *_, **__: None  # sizes as published, without the checkpoints
        model = build.build_model(job, sizes)
        mix = build.build_mix(job, model, sizes, [100] * sizes.num_classes)
    finally:
        bert.Backbone.load_into = load_into
    mix.start(model)
    nowhere: Any = SimpleNamespace(state=Path("/nonexistent"), history=None)
    trainer = build.build_trainer(
        job.stage_spec, Task(model, mix), accelerator, steps=100_000, steps_per_epoch=10**9, seed=0, folder=nowhere,
        score=lambda _: {job.stage_spec.evaluation.select: 0.0}, device=DeviceSpec(),
    )  # fmt: skip
    trainer.score = trainer.resume.checkpoint = None
    return trainer


class Bytes(TorchDispatchMode):
    """Bytes of the tensors that every operation reads and writes; views cost nothing."""

    total = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if not func.is_view:
            tensors = {id(leaf): leaf for leaf in tree_leaves((args, kwargs, out)) if isinstance(leaf, torch.Tensor)}
            self.total += sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
        return out


def work_of(trainer: Trainer, batches: list[Batch]) -> tuple[float, float]:
    """Operations and bytes of a step, means over updates on some batches; of the uncompiled model."""
    device, generator = trainer.accelerator.device, torch.Generator().manual_seed(0)
    given = [trainer.task.mix.corrupt(batch, generator).to(device) for batch in batches]
    rewind, trainer.rewind = trainer.rewind, None  # whose copy of the state is no part of a usual step
    with FlopCounterMode(display=False) as flops, Bytes() as moved:
        for batch in given:
            trainer.state.step += 1
            trainer._update([batch], 100_000)
    trainer.state.unlogged, trainer.rewind = [], rewind
    return flops.get_total_flops() / len(given), moved.total / len(given)


def roofline(flops: float, moved: float, per_step: float, name: str) -> dict[str, Any]:
    """What bounds a step on a card, and how near it comes; None where the card is not known."""
    limits, intensity = card(name), flops / moved
    row = {"tflops_per_step": float(f"{flops / 1e12:.4g}"), "intensity": round(intensity, 1)}
    if limits is None:
        return row | {"mfu": None, "bound": None, "of_roof": None}
    peak, bandwidth = limits
    roof = min(peak, intensity * bandwidth)
    bound = "compute" if roof == peak else "memory"
    return row | {
        "mfu": round(flops / per_step / peak, 4),
        "bound": bound,
        "of_roof": round(flops / per_step / roof, 3),
    }


def speed(trainer: Trainer, videos: Videos, steps: int, warmup: int, device: str) -> tuple[float, float | None]:
    """Seconds of a step, and peak memory in GB."""
    trainer.fit(videos, trainer.state.step + warmup)
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()

    def work() -> int:
        trainer.fit(videos, trainer.state.step + steps)
        return steps

    per_step = seconds(work, device)
    return per_step, round(torch.cuda.max_memory_allocated() / 2**30, 2) if device == "cuda" else None


def run(
    recipe: str, stage: str, arm: str, *, device: str = "cuda", scale: str = "full", steps: int = 30, warmup: int = 6,
    lengths: tuple[str, ...] = ("real",),
) -> list[dict[str, Any]]:  # fmt: skip
    """A row for eager and compiled steps and each of ``lengths`` (full, real)."""
    job = Job.load(recipe, stage, arm, 0, scale)
    size = job.stage_spec.data.batch_size
    accelerator = Accelerator(cpu=device == "cpu", mixed_precision="bf16" if device == "cuda" else "no")
    name = torch.cuda.get_device_name() if device == "cuda" else "cpu"
    trainer = trainer_of(job, accelerator)
    loaders = {kind: Videos(job, size, real=kind == "real") for kind in lengths}
    works = {kind: work_of(trainer, videos.batches) for kind, videos in loaders.items()}
    rows = []
    for compiled in (False, True):
        prepare_layers(trainer.task, compiled=compiled)
        for kind, videos in loaders.items():
            per_step, peak_gb = speed(trainer, videos, steps, warmup, device)
            rows.append({
                "recipe": recipe, "stage": stage, "arm": arm, "compiled": compiled, "lengths": kind, "batch": size,
                "parameters": sum(parameter.numel() for parameter in trainer.task.parameters()),
                "per_second": round(size / per_step, 1), "ms_per_step": round(1000 * per_step, 2), "peak_gb": peak_gb,
                **roofline(*works[kind], per_step, name), "published_a100": PUBLISHED.get((recipe, stage)),
            })  # fmt: skip
    return rows


@torch.inference_mode()
def inference(recipe: str, stage: str, *, device: str = "cuda", scale: str = "full", steps: int = 20) -> dict[str, Any]:
    """Videos per second of a finetuned model that only predicts, 256 at a time."""
    from lib.stages.scoring import EVAL_BATCH

    job = Job.load(recipe, stage, "base", 0, scale)
    accelerator = Accelerator(cpu=device == "cpu", mixed_precision="bf16" if device == "cuda" else "no")
    model = trainer_of(job, accelerator).task.model.eval()
    size = EVAL_BATCH if device == "cuda" else 8
    batches = [batch.to(accelerator.device) for batch in Videos(job, size // 2, real=True).batches]

    def work() -> int:
        with accelerator.autocast():
            for step in range(steps):
                model(batches[step % len(batches)])
        return steps * len(batches[0])

    seconds(work, device)
    return {"recipe": recipe, "stage": stage, "per_second": round(1 / seconds(work, device), 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dry-run", action="store_true", help="tiny, on a CPU; keeps nothing")
    dry = parser.parse_args().dry_run
    if not dry and not torch.cuda.is_available():
        print("published: skipped, no CUDA device here (a small trial: --dry-run)")
        return
    torch.set_float32_matmul_precision("high")
    small: dict[str, Any] = {"device": "cpu", "scale": "smoke", "steps": 1, "warmup": 1} if dry else {}
    rows = [row for job in JOBS for row in run(*job, **small)]
    print(*rows, sep="\n")
    if not dry:
        print(keep("published", "cuda", rows, {}).name)


if __name__ == "__main__":
    main()
