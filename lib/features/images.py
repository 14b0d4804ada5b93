"""Image sets: frame features computed from a corpus' pictures once, read like the features that come with a corpus.

Pictures are decoded in threads, a bounded number of videos ahead, and encoded in batches that never cross a shard of
videos: on a CPU several at a time, each on the one thread that keeps its bits. A shard's features are one file, so a
build that was killed goes on with the shards that have none, to the same bytes.
"""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm.auto import tqdm

from lib.data.rejects import BadRecord, Rejects
from lib.data.store import Store
from lib.features.encoders import ImageEncoder
from lib.features.pictures import Pictures, ahead
from lib.features.sets import FrameSet, building, is_made
from lib.runs.files import read_json, write_atomically, write_json
from lib.runs.machine import cores

AHEAD = 3  # videos decoded ahead of the encoder for each thread: what bounds memory


def build(
    store: Store,
    folder: Path,
    digest: str,
    *,
    pictures: Mapping[str, Any],
    encoder: Mapping[str, Any],
    batch_size: int = 64,
    shard: int = 64,
    quarantine: bool = False,
    workers: int | None = None,
    device: str | None = None,
) -> FrameSet:
    """Encode the pictures of every video; resumes after a kill, in place atomically, in constant memory.

    Raises BadRecord: a damaged picture, without quarantine; names video, picture and remedy; ValueError: a corpus
    without pictures, or an encoder that cannot be had.

    Args:
        quarantine: a video with a damaged picture gets no frames and a row of ``rejects.parquet``.
        workers: threads that decode; by default one a core. 0 decodes and encodes one after the other. The features do not
            depend on it.
    """
    if is_made(folder, digest):
        return FrameSet(folder)
    source = Pictures(store, workers=workers, **pictures)
    model = ImageEncoder(**encoder, device=device)
    with building(folder, store, digest, resume=True) as (partial, facts):
        shards = _shards(partial, digest, model.dim, len(store), shard)
        left = [one for one in shards if not one.file.exists()]
        _encode_all(source, left, model, batch_size, quarantine)
        facts |= {"encoder": model.name, "frame_dim": model.dim}
        facts |= _put_together(partial, shards, quarantine)
    return FrameSet(folder)


@dataclass
class Shard:
    """Some videos in a row of the store, and what became of them so far."""

    file: Path
    rows: range
    counts: list[int] = field(default_factory=list)  # pictures of each video
    wrong: list[list[str]] = field(default_factory=list)  # what ``rejects.parquet`` says of each damaged picture
    features: list[np.ndarray] = field(default_factory=list)  # float16 [B, D] of each batch

    def save(self, store: Store, dim: int) -> None:
        """Write what there is; the file's existence says that the shard is done. Raises ValueError: a feature that half
        precision cannot hold; names the video."""
        features = np.concatenate([np.zeros((0, dim), "<f2"), *self.features])
        if not np.isfinite(features).all():
            frame = int(np.flatnonzero(~np.isfinite(features).all(axis=1))[0])
            row = self.rows[int(np.searchsorted(np.cumsum(self.counts), frame, side="right"))]
            raise ValueError(
                f"video {store.video(row, frames=False).id}: a feature does not fit half precision; "
                "set images.precision: float32, or take another encoder"
            )
        found: Any = {"features": features, "counts": np.array(self.counts), "wrong": np.array(json.dumps(self.wrong))}
        write_atomically(self.file, lambda temporary: np.savez(temporary, **found))
        self.features = []


def _shards(partial: Path, digest: str, dim: int, videos: int, size: int) -> list[Shard]:
    """All shards in order; the folder is emptied first if what lies there was begun for another set."""
    folder, head = partial / "shards", {"digest": digest, "dim": dim, "videos": videos, "shard": size}
    if not (folder / "head.json").exists() or read_json(folder / "head.json") != head:
        shutil.rmtree(partial)
        write_json(folder / "head.json", head)
    return [Shard(folder / f"{first}.npz", range(first, min(first + size, videos))) for first in range(0, videos, size)]


def _encode_all(source: Pictures, shards: list[Shard], model: ImageEncoder, size: int, quarantine: bool) -> None:
    """Fill and save the shards one after the other; batches of the next one wait for none of a shard's last."""
    of_cpu = model.device.type == "cpu"
    threads = min(source.workers, max(1, cores() // torch.get_num_threads()) if of_cpu else 1)

    def read(row: int) -> np.ndarray | BadRecord:
        try:
            return source.of(row)
        except BadRecord as error:
            return error

    def encode(batch: tuple[Shard, np.ndarray | BadRecord, bool]) -> tuple[Shard, np.ndarray | None, bool]:
        shard, pictures, last = batch
        if isinstance(pictures, BadRecord):  # raised in its turn, so that the shards before it are saved
            raise pictures
        if not len(pictures):
            return shard, None, last
        return shard, model(torch.from_numpy(pictures)).to(torch.float16).numpy().astype("<f2", copy=False), last

    rows = [row for shard in shards for row in shard.rows]
    bar = tqdm(total=len(rows), desc="encode pictures", unit="video", mininterval=0.5)
    videos = ahead(read, rows, source.workers, AHEAD * source.workers)
    encoded = ahead(encode, _batches(videos, shards, size, quarantine), threads, threads)
    with bar, closing(videos), closing(encoded):
        for shard, vectors, last in encoded:
            shard.features += [] if vectors is None else [vectors]
            if last:
                shard.save(source.store, model.dim)
                bar.update(len(shard.rows))


def _batches(
    videos: Iterator[np.ndarray | BadRecord], shards: list[Shard], size: int, quarantine: bool
) -> Iterator[tuple[Shard, np.ndarray | BadRecord, bool]]:
    """(shard, pictures uint8 [B, 3, S, S], whether they are its last, perhaps none), or what is wrong with a picture."""
    for shard in shards:
        waiting: list[np.ndarray] = [np.zeros((0, 3, 1, 1), np.uint8)]
        for _ in shard.rows:
            found = next(videos)
            if isinstance(found, BadRecord):
                if not quarantine:
                    yield shard, found, False
                shard.wrong.append(found.row)
                shard.counts.append(0)
                continue
            shard.counts.append(len(found))
            waiting = [part for part in (*waiting, found) if len(part)]
            if sum(map(len, waiting)) >= size:
                everything = np.concatenate(waiting)
                whole = len(everything) - len(everything) % size
                yield from ((shard, everything[start : start + size], False) for start in range(0, whole, size))
                waiting = [everything[whole:]]
        yield shard, np.concatenate(waiting) if waiting else np.zeros((0, 3, 1, 1), np.uint8), True


def _put_together(partial: Path, shards: list[Shard], quarantine: bool) -> dict[str, int]:
    """One file of features, offsets, and the list of rejected videos, from the files of all shards."""
    counts, rejects = [0], Rejects(quarantine=True)
    with (partial / "frames.f16").open("wb") as file:
        for shard in shards:
            with np.load(shard.file) as found:
                file.write(found["features"].tobytes())
                counts += found["counts"].tolist()
                rejects.extend(json.loads(str(found["wrong"])))
    if len(rejects) and not quarantine:
        raise ValueError(f"{len(rejects)} videos with a damaged picture were set aside earlier; use quarantine")
    np.save(partial / "offsets.npy", np.cumsum(counts).astype(np.int64))
    if quarantine:
        rejects.write(partial / "rejects.parquet")
    return {"frames": sum(counts), "rejected": len(rejects)}
