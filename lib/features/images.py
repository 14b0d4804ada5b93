"""Image sets: frame features computed from a corpus' pictures once, read like the features that come with a corpus.

Pictures are decoded in threads (Pillow works outside Python's lock) a bounded number of videos ahead, while the encoder
works on batches that never cross a shard of videos (``lib.features.encoding``). After each shard its features and a line of
``shards.jsonl`` are on disk, so a build that was killed goes on after the last whole shard, with the bytes it would have had
anyway.
"""

from __future__ import annotations

import shutil
from collections import deque
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from lib.data.checks import Wrong
from lib.data.rejects import Rejects
from lib.data.store import Store
from lib.features import frames as frame_rules
from lib.features.encoders import ImageEncoder
from lib.features.encoding import Pool, Shard, side_by_side
from lib.features.frame_sets import FrameSet
from lib.features.pictures import damaged, decode
from lib.features.shards import Progress
from lib.recipes.specs import FeatureSet, ImagesSpec
from lib.runs.files import read_json, write_json
from lib.runs.machine import cores
from lib.runs.paths import shown

AHEAD = 3  # videos decoded ahead of the encoder for each thread: what bounds memory


def build(
    store: Store,
    folder: Path,
    spec: FeatureSet,
    encoder_name: str,
    digest: str,
    *,
    quarantine: bool = False,
    workers: int | None = None,
    device: str | None = None,
) -> FrameSet:
    """Encode the pictures of every video; resumes after a kill, in place atomically, in constant memory.

    Args:
        encoder_name: what ``lib.features.encoders`` understands.
        digest: what the set depends on; an existing set with the same digest is returned as it is.
        quarantine: a video with a damaged picture gets no frames and a row of ``rejects.parquet``.
        workers: threads that decode; 0 decodes and encodes in turn; by default one a core.
        device: of the encoder; by default CUDA where there is one.

    Raises:
        ValueError: the corpus has no pictures, or the encoder cannot be had.
        BadRecord: a damaged picture, unless in quarantine; names video, file, picture and remedy.
    """
    folder, images = Path(folder), spec.images
    done = folder / "features.json"
    if done.exists() and read_json(done)["digest"] == digest:
        return FrameSet(folder)
    if images is None:
        raise ValueError("a set of images needs images: {encoder: ..., ...}")
    if not store.manifest["images"]:
        raise ValueError(
            f"{shown(store.path)}: this corpus came without pictures; import one that has them, or use its own features "
            "with features.frames.set: given"
        )
    partial = folder.with_name(folder.name + ".partial")
    if (partial / "features.json").exists() and read_json(partial / "features.json")["digest"] == digest:
        return _install(partial, folder)  # complete, but killed on its way to its place
    encoder = ImageEncoder(images, encoder_name, device)
    rejects = Rejects(quarantine)
    workers = cores() if workers is None else workers
    threads = side_by_side(encoder.device) if workers else 0
    with Progress(partial, digest, encoder.dim, len(store)) as progress, Pool(encoder, threads) as pool:
        for row in progress.rejected:
            rejects.add(damaged(store, row["row"], Wrong(*row["wrong"])))
        encode_all(store, images, pool, progress, rejects, workers)
    np.save(partial / "offsets.npy", np.concatenate([[0], np.cumsum(progress.counts)]).astype(np.int64))
    if quarantine:
        rejects.write(partial / "rejects.parquet")
    about = {
        "digest": digest, "encoder": encoder.name, "frame_dim": encoder.dim, "videos": len(store), "frames": int(sum(progress.counts)),
        "rejected": len(rejects), "corpus": store.fingerprint,
    }  # fmt: skip
    write_json(partial / "features.json", about)
    return _install(partial, folder)


def _install(partial: Path, folder: Path) -> FrameSet:
    """Put a complete set in place, file by file, because the executed notebook may lie there; ``features.json`` is last."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "features.json").unlink(missing_ok=True)  # an older set must not vouch for new frames
    if not (partial / "rejects.parquet").exists() and (partial / "frames.f16").exists():
        (folder / "rejects.parquet").unlink(missing_ok=True)
    for name in ("rejects.parquet", "frames.f16", "offsets.npy", "features.json"):
        if (partial / name).exists():
            (partial / name).replace(folder / name)
    shutil.rmtree(partial)
    return FrameSet(folder)


def encode_all(store: Store, spec: ImagesSpec, pool: Pool, progress: Progress, rejects: Rejects, workers: int) -> None:
    """Shard after shard from where ``progress`` stands; the next shard's pictures wait for none of a shard's last."""
    start, total = len(progress.counts), len(store)
    bar = tqdm(total=total, initial=start, desc="encode pictures", unit="video", mininterval=0.5)
    before: Shard | None = None
    with bar, closing(decoded(store, spec, range(start, total), workers)) as videos:
        for first in range(start, total, spec.shard):
            shard = Shard(pool, spec.batch_size, first)
            try:
                for row in range(first, min(first + spec.shard, total)):
                    pictures = next(videos)
                    if isinstance(pictures, Wrong):
                        rejects.add(damaged(store, row, pictures))
                        shard.wrong.append({"row": row, "wrong": [pictures.field, pictures.value, pictures.remedy]})
                        pictures = np.zeros((0, 3, spec.size, spec.size), np.uint8)
                    shard.add(pictures)
                    bar.update()
                    if before is not None and before.done:
                        keep(store, progress, before)
                        before = None
                shard.close()
            finally:  # what is whole is kept, also when a picture is damaged
                if before is not None:
                    keep(store, progress, before)
            before = shard
        if before is not None:
            keep(store, progress, before)


def keep(store: Store, progress: Progress, shard: Shard) -> None:
    """Write a shard whose batches are done.

    Raises:
        ValueError: a feature that half precision cannot hold; names the video.
    """
    features = shard.features()
    if features is not None and not np.isfinite(features).all():
        frame = int(np.flatnonzero(~np.isfinite(features).all(axis=1))[0])
        row = shard.first + int(np.searchsorted(np.cumsum(shard.counts), frame, side="right"))
        raise ValueError(
            f"video {store.video(row, frames=False).id}: a feature does not fit half precision; "
            "set images.precision: float32, or take another encoder"
        )
    progress.append(features, shard.counts, shard.wrong)


def decoded(store: Store, spec: ImagesSpec, rows: range, workers: int) -> Generator[np.ndarray | Wrong]:
    """uint8 [n, 3, S, S] of each video in order, or what is wrong with it; at most ``AHEAD`` a thread are waiting."""
    if workers == 0:
        yield from (read(store, spec, row) for row in rows)
        return
    waiting: deque[Future] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="decode")
    try:
        for row in rows:
            waiting.append(pool.submit(read, store, spec, row))
            if len(waiting) > AHEAD * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:  # also when the consumer stops early
        pool.shutdown(cancel_futures=True)


def read(store: Store, spec: ImagesSpec, row: int) -> np.ndarray | Wrong:
    """The pictures of one video that the set's rule takes, decoded; none for a video without pictures."""
    files = store.images(row)
    chosen = frame_rules.pick(len(files), spec.length, spec.sample).tolist() if files else []
    result = np.empty((len(chosen), 3, spec.size, spec.size), np.uint8)
    for place, index in zip(result, chosen, strict=True):
        try:
            place[:] = decode(files[index], spec, f"picture {index + 1} of {len(files)}")
        except Wrong as wrong:
            return wrong
    return result
