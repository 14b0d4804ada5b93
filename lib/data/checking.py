"""Is a store what its manifest says? Checksums, offsets, ids and values."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np

from lib.data.store import Store

BLOCK = 1 << 24  # bytes


def problems(store: Store) -> Iterator[str]:
    """Everything that is wrong with a store, one sentence each; nothing if it is whole."""
    for name in ("frames.f16", "images.bin"):
        file = store.path / name
        if not file.exists():
            if name == "frames.f16" and store.frame_dim or name == "images.bin" and store.manifest["images"]:
                yield f"{name} is missing"
            continue
        total = hashlib.sha256()
        with file.open("rb") as stream:
            while block := stream.read(BLOCK):
                total.update(block)
        if total.hexdigest() != store.manifest["checksums"][name]:
            yield f"{name}: its checksum differs from the manifest's"
    if len(store) != store.manifest["counts"]["videos"]:
        yield f"videos.arrow holds {len(store)} videos, the manifest says {store.manifest['counts']['videos']}"
    if store.frame_dim:
        ends = store.column("frame_offset") + store.n_frames
        size = (store.path / "frames.f16").stat().st_size // (2 * store.frame_dim)
        if int(ends[-1]) != size or not (ends[:-1] == store.column("frame_offset")[1:]).all():
            yield f"frame offsets do not cover frames.f16 ({int(ends[-1])} of {size} frames)"
        else:
            for row in range(len(store)):
                if not np.isfinite(store.frames(row)).all():
                    yield f"video {store.column('id')[row]}: NaN or Inf in its frames"
    pairs = store.pairs()
    if len(pairs) and (pairs[["row1", "row2"]].to_numpy().max() >= len(store) or not pairs["score"].between(0, 1).all()):
        yield "pairs.arrow names a video that is not there or a score outside [0, 1]"
