"""Speed of ``embed`` on video files, against a loop that decodes and encodes one after the other and does not even look at
their texts: videos a second, share of the cores that is busy, memory. ``python -m benchmarks.embed RUN [--videos 200]``, with a
run that sees pictures through a frozen encoder; draws its videos."""

from __future__ import annotations

import argparse
import os
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import psutil
import torch

import lib
from lab.corpora import demo
from lib.data import pixels
from lib.features.encoders import ImageEncoder
from lib.features.frames import pick
from lib.features.pictures import decode
from lib.runs.machine import cores
from lib.use import Model


def measured(work: Callable[[], object]) -> dict[str, float]:
    """Seconds, share of the process's cores that worked, and resident memory after a third and at the end, in MB."""
    me, seen, done = psutil.Process(), [], threading.Event()

    def watch() -> None:
        while not done.wait(0.2):
            seen.append(me.memory_info().rss / 2**20)

    watcher, before, started = threading.Thread(target=watch), me.cpu_times(), time.perf_counter()
    watcher.start()
    work()
    seconds, after = time.perf_counter() - started, me.cpu_times()
    done.set()
    watcher.join()
    busy = (after.user + after.system - before.user - before.system) / seconds / cores()
    return {"seconds": seconds, "busy": busy, "MB after a third": seen[len(seen) // 3] if seen else 0, "MB at most": max(seen, default=0)}  # fmt: skip


def naive(model: Model, files: Sequence[Path]) -> None:
    """Pictures of a video to vectors, then the next."""
    ref = model.job.frames
    assert ref is not None and ref.spec.images is not None
    encoder, spec = ImageEncoder(**ref.spec.images.encoding(ref.tokenizer)), ref.spec.images
    given = {name: value for name, value in spec.pictures.items() if name not in ("length", "sample", "mean")}
    for file in files:
        frames = pixels.frames_of(file, model.facts["corpus"]["max_frames"])
        chosen = pick(len(frames), spec.length, spec.sample)
        encoder(torch.from_numpy(np.stack([decode(frames[place], **given) for place in chosen])))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run")
    parser.add_argument("--videos", type=int, default=200)
    options = parser.parse_args()
    model = lib.load(options.run)
    with tempfile.TemporaryDirectory() as folder:
        drawn, files = demo.write(Path(folder) / "drawn", 20, seconds=8), []
        for number in range(options.videos):  # drawing takes longer than reading
            files.append(drawn[number % len(drawn)].with_name(f"{number}.mp4"))
            os.link(drawn[number % len(drawn)], files[-1])
        model.embed(files[:2])  # what is loaded once
        for name, work in (
            ("embed", lambda: model.embed(files)),
            ("one after the other", lambda: naive(model, files)),
        ):
            found = measured(work)
            told = ", ".join(f"{key} {value:.2f}" for key, value in found.items())
            print(f"{name}: {options.videos / found['seconds']:.1f} videos a second; {told}")


if __name__ == "__main__":
    main()
