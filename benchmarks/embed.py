"""Speed of ``embed`` on video files, against a loop that decodes and encodes one after the other and does not even look at
their texts: videos a second, share of the cores that is busy, memory. ``python -m benchmarks.embed [ENCODER ...] [--videos 200]``
draws its videos, of eight pictures each, and trains a small model on twenty of them with each encoder."""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import psutil
import torch

import lib
from lab.corpora import demo
from lab.corpora.importing import import_corpus
from lab.use import choose
from lib.data import pixels
from lib.data.store import Store
from lib.features.encoders import ImageEncoder
from lib.features.frames import pick
from lib.features.pictures import decode
from lib.recipes.job import Job
from lib.runs import paths
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


def trained(home: Path, encoder: str) -> Model:
    """On the videos in ``home``, with a frozen encoder of pictures."""
    store = Store.open(home / "store")
    scale = choose.with_encoders("smoke", encoder, "")
    return lib.load(
        choose.train(Job.load("wechat_baseline", "finetune", "few", 0, scale, str(store.path)), store).path.as_posix()
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("encoders", nargs="*", default=["random-tf_efficientnet_lite0", "random-vit_tiny_patch16_224"])
    parser.add_argument("--videos", type=int, default=200)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home, files = Path(folder), []
        shutil.copytree(paths.params(), home / "params")  # where scales with these encoders are written
        os.environ |= {"VIDLAB_HOME": folder, "VIDLAB_PARAMS": str(home / "params")}
        drawn = demo.write(home / "drawn", 20, seconds=8)
        import_corpus(home / "drawn", home / "store")
        for number in range(options.videos):  # drawing takes longer than reading
            files.append(drawn[number % len(drawn)].with_name(f"{number}.mp4"))
            os.link(drawn[number % len(drawn)], files[-1])
        for encoder in options.encoders:
            model = trained(home, encoder)
            model.embed(files[:2])  # what is loaded once
            for name, work in (("embed", model.embed), ("one after the other", partial(naive, model))):
                found = measured(partial(work, files))
                told = ", ".join(f"{key} {value:.2f}" for key, value in found.items())
                print(f"{encoder}, {name}: {options.videos / found['seconds']:.1f} videos a second; {told}", flush=True)


if __name__ == "__main__":
    main()
