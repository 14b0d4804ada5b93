"""Job 1 of AIAC rank 1 at its published size: ``python -m benchmarks.published [--compile]``.

24 layers, 1024 wide, vocabulary 21,128, 10,000 tags, 128 full videos of 32 frames and 36 pieces a batch, bf16, random
weights and inputs. Samples per second of whole trainer steps, share of the card's peak (MFU, from counted matrix
products), peak memory. The winner's A100 did 258 videos/s; targets on an H200: 3,000 videos/s and an MFU of 50 %.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

import torch
from accelerate import Accelerator
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.measure import keep, seconds
from benchmarks.training import VOCABULARY, trainer_of, unibert
from lib.data.batch import Batch, SpecialIds
from lib.training.trainer import Trainer

SPECIAL = SpecialIds(pad=0, unk=100, cls=101, sep=102, mask=103)
TAGS, FRAME_DIM, PIECES, FRAMES = 10_000, 1536, 36, 32
PUBLISHED = 258.0  # videos per second on the winner's A100, from the training log
TARGETS = {"videos_per_second": 3000.0, "mfu": 0.5}

# Dense bf16 matrix products, floating point operations per second, from the makers' data sheets.
PEAK = {
    "H200": 989.4e12,
    "H100 PCIe": 756e12,
    "H100": 989.4e12,
    "A100": 312e12,
    "L40S": 362e12,
    "A10": 125e12,
    "4090": 165.2e12,
}


def peak_of(name: str) -> float | None:
    """Peak of a card by a part of its name; None for a card that is not in the table."""
    return next((value for part, value in PEAK.items() if part in name), None)


class FullVideos:
    """Random batches without padding, made beforehand: what is measured is the training step."""

    def __init__(self, batch_size: int, batches: int = 4) -> None:
        generator = torch.Generator().manual_seed(0)
        self.batches = [self._batch(batch_size, generator) for _ in range(batches)]
        self.steps_per_epoch, self.step = 10**9, 0

    @staticmethod
    def _batch(size: int, generator: torch.Generator) -> Batch:
        ids = torch.randint(1000, VOCABULARY, (size, PIECES), generator=generator)
        ids[:, 0], ids[:, 1], ids[:, -1] = SPECIAL.cls, SPECIAL.sep, SPECIAL.sep
        return Batch(
            rows=torch.arange(size),
            input_ids=ids,
            text_mask=torch.ones(size, PIECES, dtype=torch.bool),
            token_types=torch.zeros(size, PIECES, dtype=torch.long),
            frames=torch.randn(size, FRAMES, FRAME_DIM, generator=generator),
            frame_mask=torch.ones(size, FRAMES, dtype=torch.bool),
            tags=(torch.rand(size, TAGS, generator=generator) < 4e-4).float(),
        )

    def __iter__(self) -> Iterator[Batch]:
        while True:
            self.step += 1
            yield self.batches[self.step % len(self.batches)]

    def state_dict(self) -> dict[str, int]:
        return {"step": self.step}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.step = state["step"]


def build(backbone: str, accelerator: Accelerator, *, compiled: bool) -> Trainer:
    task = unibert(backbone, frame_dim=FRAME_DIM, num_tags=TAGS, special=SPECIAL)
    if compiled:
        task.model.get_submodule("fusion.encoder").compile()  # in place: names of parameters stay
    return trainer_of(task, accelerator, rewind=False)


def flops_per_step(trainer: Trainer, batch: Batch) -> int:
    """Matrix products of one forward and backward, counted by torch on the uncompiled model."""
    batch = trainer.task.mix.corrupt(batch, torch.Generator().manual_seed(0)).to(trainer.accelerator.device)
    with FlopCounterMode(display=False) as counter:
        total, _ = trainer.wrapped(batch)
        trainer.accelerator.backward(total)
    trainer.optimizer.zero_grad()
    return counter.get_total_flops()


def run(
    backbone: str = "random-24x1024",
    batch_size: int = 128,
    steps: int = 60,
    warmup: int = 10,
    compiled: bool = False,
    device: str = "cuda",
) -> dict[str, Any]:
    """One row of results; ``mfu`` is None where the card's peak is not known."""
    accelerator = Accelerator(cpu=device == "cpu", mixed_precision="bf16" if device == "cuda" else "no")
    loader = FullVideos(batch_size)
    flops = flops_per_step(build(backbone, accelerator, compiled=False), loader.batches[0])
    trainer = build(backbone, accelerator, compiled=compiled)
    trainer.fit(loader, warmup)
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()

    def work() -> int:
        trainer.fit(loader, trainer.state.step + steps)
        return steps

    per_step = seconds(work, device)
    peak = peak_of(torch.cuda.get_device_name()) if device == "cuda" else None
    return {
        "backbone": backbone,
        "compiled": compiled,
        "batch": batch_size,
        "parameters": sum(parameter.numel() for parameter in trainer.task.parameters()),
        "videos_per_second": round(batch_size / per_step, 1),
        "target": TARGETS["videos_per_second"],
        "published_a100": PUBLISHED,
        "ms_per_step": round(1000 * per_step, 2),
        "tflops_per_step": round(flops / 1e12, 3),
        "mfu": None if peak is None else round(flops / per_step / peak, 4),
        "target_mfu": TARGETS["mfu"],
        "peak_gb": round(torch.cuda.max_memory_allocated() / 2**30, 2) if device == "cuda" else None,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backbone", default="random-24x1024")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--warmup", type=int, default=10)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda")
    arguments = parser.parse_args()
    if arguments.device == "cuda" and not torch.cuda.is_available():
        print(
            "published: skipped, no CUDA device here (a small trial: --device cpu --backbone tiny-2x64 --batch-size 4 --steps 2)"
        )
        return
    torch.set_float32_matmul_precision("high")
    given = (arguments.backbone, arguments.batch_size, arguments.steps, arguments.warmup)
    rows = [run(*given, compiled=compiled, device=arguments.device) for compiled in (False, True)]
    for row in rows:
        print(
            f"compiled {row['compiled']}: {row['videos_per_second']:,.0f} videos/s, MFU {row['mfu']}, {row['peak_gb']} GB"
        )
    if arguments.device == "cuda":  # a trial on a CPU says nothing worth keeping
        print(keep("published", "cuda", rows, {"vocabulary": VOCABULARY, "tags": TAGS}).name)


if __name__ == "__main__":
    main()
