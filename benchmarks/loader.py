"""From the store to batches, in videos per second: ``python -m benchmarks.loader [--videos 4000] [--store STORE]``.

Ours reads token ids and frames from memory-mapped files and pads to the longest of a batch; naive is ``benchmarks.naive``.
Target: 10 times the videos per second. Both run in one process on one thread.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import torch

from benchmarks.corpus import prepare
from benchmarks.measure import keep, race
from benchmarks.naive import FRAMES, TOKENS, NaiveLoader, NaiveVideos, resident_mb
from lib.data.batch import Batch
from lib.features.loader import Assembler, Items, TrainLoader

TARGET = 10.0


def run(videos: int, store: str, batch_size: int, batches: int, rounds: int) -> dict:
    opened, tokens = prepare(videos, store)
    rows = opened.rows("pointwise", "pairwise")
    rows = rows[opened.tags_csr()[2][rows]]
    before = resident_mb()
    rules = {"layout": "cls_sep_title", "text_length": TOKENS, "frames_length": FRAMES, "sample": "linspace_round"}
    ours = TrainLoader(Assembler(opened, tokens, **rules, tags=True), Items(rows), batch_size, seed=0, bucket=True)
    stream = iter(ours)
    next(stream)
    memory = resident_mb() - before
    naive = NaiveLoader(NaiveVideos(opened, tokens, rows), batch_size)
    naive_memory = resident_mb() - before - memory

    slow = iter(naive)
    result = race(lambda: _pull(stream, batches), lambda: _pull(slow, max(2, batches // 8)), rounds=rounds)
    return {
        "videos": len(rows),
        "tags": len(opened.manifest["tags"]),
        "batch": batch_size,
        **result,
        "target": TARGET,
        "ours_memory_mb": round(memory, 1),
        "naive_memory_mb": round(naive_memory, 1),
    }


def _pull(stream: Iterator[Batch], batches: int) -> int:
    return sum(len(next(stream)) for _ in range(batches))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--videos", type=int, default=4000)
    parser.add_argument("--store", default="", help="a store to use instead of a generated one")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--batches", type=int, default=48)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    row = run(arguments.videos, arguments.store, arguments.batch_size, arguments.batches, arguments.rounds)
    path = keep("loader", "cpu", [row], {"corpus": arguments.store or f"generated pairs, {arguments.videos} videos"})
    print(
        f"{row['ours_per_second']:,.0f} against {row['naive_per_second']:,.0f} videos/s: {row['ratio']} times (target {TARGET:g}); {path.name}"
    )


if __name__ == "__main__":
    main()
