"""Is a store what its manifest says? Checksums, offsets, ids and values."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pyarrow as pa

from lib.data.pixels import picture
from lib.data.rejects import Wrong
from lib.data.store import Store
from lib.runs.files import checksum

WINDOW = 4096  # frames looked at together


def problems(store: Store) -> Iterator[str]:
    """Everything that is wrong with a store, one sentence each; nothing if it is whole. Ids are held in memory, frames are not."""
    damaged = list(_files(store))
    yield from damaged
    if any("videos.arrow" in problem for problem in damaged):
        return  # what it says of the other files means nothing
    yield from _videos(store)
    if not any("frames.f16" in problem and "missing" in problem for problem in damaged):
        yield from _frames(store)
    yield from _images(store)
    if not any("pairs.arrow" in problem for problem in damaged):
        yield from _pairs(store)


def _files(store: Store) -> Iterator[str]:
    for name, expected in store.manifest["checksums"].items():
        file = store.path / name
        if not file.exists():
            yield f"{name} is missing"
        elif checksum(file) != expected:
            yield f"{name}: its checksum differs from the manifest's; the file has changed since the import"


def _videos(store: Store) -> Iterator[str]:
    counts = store.manifest["counts"]
    if len(store) != counts["videos"]:
        yield f"videos.arrow holds {len(store)} videos, the manifest says {counts['videos']}"
    ids = store.column("id")
    for row in np.flatnonzero(pd.Series(ids).duplicated() | (ids == "")):
        yield f"video {row}: " + (f"the id {ids[row]!r} occurs twice" if ids[row] else "it has no id")
    parts = pd.Series(store.column("part")).value_counts().to_dict()
    if parts != counts["parts"]:
        yield f"videos per part are {parts}, the manifest says {counts['parts']}"
    unknown = int((store.categories() < 0).sum()) - sum(
        batch.column(0).null_count for batch in store.batches("category")
    )
    if unknown:
        yield f"{unknown} videos have a category that the manifest does not list"


def _frames(store: Store) -> Iterator[str]:
    if not store.frame_dim:
        return
    offsets, counts = store.column("frame_offset"), store.n_frames.astype(np.int64)
    total = store.manifest["counts"]["frames"]
    size = (store.path / "frames.f16").stat().st_size
    if size != total * store.frame_dim * 2:
        yield f"frames.f16 has {size} bytes, {total} frames of {store.frame_dim} numbers need {total * store.frame_dim * 2}"
        return
    held = counts > 0
    ends = offsets[held] + counts[held]
    if int(ends[-1] if len(ends) else 0) != total or (ends[:-1] != offsets[held][1:]).any():
        yield f"the frame offsets do not cover frames.f16 end to end ({int(ends[-1]) if len(ends) else 0} of {total} frames)"
        return
    if counts.max() > store.manifest["max_frames"]:
        yield f"a video has {counts.max()} frames, the manifest allows {store.manifest['max_frames']}"
    with (store.path / "frames.f16").open("rb") as file:
        for start in range(0, total, WINDOW):
            values = np.frombuffer(file.read(WINDOW * store.frame_dim * 2), np.uint16).reshape(-1, store.frame_dim)
            for frame in np.flatnonzero((values & 0x7C00 == 0x7C00).any(axis=1)):
                row = int(np.searchsorted(offsets[held], start + frame, side="right")) - 1
                yield f"video {store.video(int(np.flatnonzero(held)[row]), frames=False).id}: NaN or Inf in its frames"
                break  # one video of a window is enough to find the trouble


def _images(store: Store) -> Iterator[str]:
    if not store.manifest["images"] or not (store.path / "images.bin").exists():
        return
    lengths = np.array([int(sum(sizes)) for sizes in store.column("image_sizes")])
    expected, starts = int(lengths.sum()), np.cumsum(lengths) - lengths
    for row in np.flatnonzero((store.column("image_offset") != starts) & (lengths > 0))[:1]:
        yield f"video {row}: its images do not start at byte {starts[row]} of images.bin, where those before end"
        return
    size = (store.path / "images.bin").stat().st_size
    if size != expected:
        yield f"images.bin has {size} bytes, the videos need {expected}"
        return
    for row, count in enumerate(store.n_images):
        for number, data in enumerate(store.images(row)):
            try:
                picture(data, f"picture {number + 1} of {count}")
            except Wrong as wrong:
                yield str(wrong.at(store.path / "images.bin", f"video {store.video(row, frames=False).id}"))


def _pairs(store: Store) -> Iterator[str]:
    count = store.manifest["counts"]["pairs"]
    try:
        pairs, truth = store.pairs(), store.truth()
    except (OSError, pa.ArrowInvalid) as error:
        yield f"pairs or truth cannot be read: {error}"
        return
    if len(pairs) != count:
        yield f"pairs.arrow holds {len(pairs)} pairs, the manifest says {count}"
    if len(pairs):
        rows = pairs[["row1", "row2"]].to_numpy()
        if rows.min() < 0 or rows.max() >= len(store):
            yield "pairs.arrow names a video that is not there"
        if not pairs["score"].between(0, 1).all():
            yield "pairs.arrow holds a score outside [0, 1]"
    expected = len(pairs) if store.track == "pairs" else len(store)
    if truth is not None and len(truth) != expected:
        yield f"truth.arrow has {len(truth)} rows, expected {expected}"
