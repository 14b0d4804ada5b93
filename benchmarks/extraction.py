"""From pictures to frame features, in videos per second: ``python -m benchmarks.extraction [--videos 2000]``.

Ours decodes in threads while batches are encoded side by side, each on one thread; naive decodes a batch, then encodes it, in
turn. Both build the same set, to the byte. ``busy`` is processor time over wall time and cores: 1 when no core ever waits.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

from benchmarks.measure import keep, race
from lib.data.store import Store
from lib.features import images
from lib.recipes.load import load
from lib.recipes.specs import FeatureSet
from lib.runs import paths
from lib.runs.machine import cores

TARGET = 0.8  # share of the cores' time
SEED = 7
PICTURES = 8  # of a video, as the generator renders them and the set takes them


def prepare(videos: int) -> Store:
    """A twin with pictures only, made once and kept under ``data/bench``."""
    folder = paths.home() / "data" / "bench" / f"pictures-{videos}"
    if not (folder / "store").exists():
        from lab.corpora.importing import import_corpus
        from lab.corpora.twin import generate

        generate(folder / "raw", track="classes", videos=videos, seed=SEED, frames="jpeg")
        import_corpus(folder / "raw", folder / "store")
        shutil.rmtree(folder / "raw")
    return Store.open(folder / "store")


def builder(store: Store, spec: FeatureSet, encoder: str, folder: Path, workers: int, busy: list[float]) -> Callable:
    """A build of the whole set from nothing, which notes how busy the cores were."""

    def build() -> int:
        shutil.rmtree(folder, ignore_errors=True)
        wall, cpu = time.perf_counter(), time.process_time()
        images.build(store, folder, "benchmark", **spec.arguments(encoder), workers=workers, device="cpu")
        busy.append((time.process_time() - cpu) / (time.perf_counter() - wall) / cores())
        return len(store)

    return build


def run(videos: int, features: str, encoder: str, rounds: int) -> dict:
    store, spec = prepare(videos), load(FeatureSet, features)
    if spec.images is None:
        raise ValueError(f"--features: {features} is no set of images; take pixels_small or swin_tiny")
    spec = spec.model_copy(update={"images": spec.images.model_copy(update={"length": PICTURES})})
    name = encoder or spec.images.encoder
    root, busy = store.path.parent, {"ours": [], "naive": []}
    result = race(
        builder(store, spec, name, root / "ours", cores(), busy["ours"]),
        builder(store, spec, name, root / "naive", 0, busy["naive"]),
        rounds=rounds,
    )
    if (root / "ours" / "frames.f16").read_bytes() != (root / "naive" / "frames.f16").read_bytes():
        raise RuntimeError("the two sides built different features; nothing was measured")
    return {
        "videos": len(store),
        "pictures": int(store.n_images.clip(max=PICTURES).sum()),
        "encoder": f"{name}, {spec.images.size} pixels",
        **result,
        "cores": cores(),
        **{f"{side}_busy": round(statistics.median(values[1:]), 2) for side, values in busy.items()},
        "target_busy": TARGET,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--videos", type=int, default=2000)
    parser.add_argument("--features", default="pixels_small", help="a set of images of params/features")
    parser.add_argument("--encoder", default="", help="another encoder than the set's, for example random-test_vit")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dry", action="store_true", help="print the row and keep nothing")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    row = run(arguments.videos, arguments.features, arguments.encoder, arguments.rounds)
    about = {"corpus": f"generated pictures, {arguments.videos} videos, at most {PICTURES} of 224 pixels each"}
    where = "not kept" if arguments.dry else keep("extraction", "cpu", [row], about).name
    print(
        f"{row['ours_per_second']:,.0f} against {row['naive_per_second']:,.0f} videos/s: {row['ratio']} times; "
        f"{row['ours_busy']:.0%} against {row['naive_busy']:.0%} of {row['cores']} cores busy (target {TARGET:.0%}); {where}"
    )


if __name__ == "__main__":
    main()
