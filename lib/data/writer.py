"""StoreWriter: fills a store in constant memory and puts it in place whole."""

import hashlib
import json
import shutil
import sqlite3
from array import array
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from lib.data.rejects import BadRecord, Rejects, Wrong
from lib.data.schema import MAX_FRAMES, PAIRS, SCHEMA_VERSION, VIDEOS, Video
from lib.data.store import Store, StoreError
from lib.runs.files import checksum, lies_at, replace_folder, write_json
from lib.runs.paths import shown

CHUNK = 1024  # videos per Arrow record batch: what a reader holds at a time


class StoreWriter:
    """Writes into ``<out>.partial`` and renames it on ``finish``; leaving the block without that removes it.

    Ids go into a small database on disk, so that neither duplicates nor the rows of pairs need memory that grows.
    ``track``: "pairs" or "classes". ``source``: name of the format it came from. ``frame_dim``: numbers per frame; those
    of the first video if None. Raises StoreError: something is there, and it is no store or ``overwrite`` is False.
    """

    def __init__(
        self,
        out: Path,
        *,
        track: str,
        source: str,
        max_frames: int = MAX_FRAMES,
        frame_dim: int | None = None,
        overwrite: bool = False,
        rejects: Rejects | None = None,
    ):
        self.out, self.track, self.source, self.max_frames = Path(out), track, source, max_frames
        there = lies_at(self.out)
        if there and not overwrite:
            raise StoreError(f"{shown(self.out)}: there is something already; choose another --out or pass --overwrite")
        if there and not there & {"manifest.json", "videos.arrow"}:  # the workflow takes a stale manifest away first
            raise StoreError(f"{shown(self.out)}: is not a store, so it will not be overwritten; choose another --out")
        self.rejects = Rejects() if rejects is None else rejects  # an empty one is falsy
        self.partial = self.out.absolute().with_name(f"{self.out.absolute().name}.partial")
        shutil.rmtree(self.partial, ignore_errors=True)
        self.partial.mkdir(parents=True)
        self.frame_dim, self._official = frame_dim, frame_dim is not None
        self.count = self._frames = self._image_bytes = 0
        self.parts: dict[str, int] = {}
        self.categories: set[str] = set()
        self._finished = False
        self._records: list[dict[str, Any]] = []
        self._rows, self._scores = array("q"), array("f")  # of pairs: 20 bytes each
        self._ids = sqlite3.connect(self.partial / "ids.sqlite")
        self._ids.executescript(
            "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; CREATE TABLE video (id TEXT PRIMARY KEY, row INTEGER) WITHOUT ROWID;"
        )
        self._videos = pa.OSFile(str(self.partial / "videos.arrow"), "wb")
        self._writer = pa.ipc.new_file(self._videos, VIDEOS)
        self._features = (self.partial / "frames.f16").open("wb")
        self._images = (self.partial / "images.bin").open("wb")
        self._sums = {name: hashlib.sha256() for name in ("frames.f16", "images.bin", "records")}

    def __enter__(self) -> "StoreWriter":
        return self

    def __exit__(self, kind, error, trace) -> None:
        if not self._finished:
            try:
                self._close()
            finally:  # a full disk refuses the rest of what is written, and is the very reason to tidy up
                shutil.rmtree(self.partial, ignore_errors=True)

    def add(
        self,
        video: Video,
        file: Path | str = "",
        record: str = "",
        *,
        frames_file: Path | str | None = None,
        frames_field: str = "frames",
    ) -> int:
        """Append a video; returns its row. ``file``, ``record``: where the video was read, for messages.
        ``frames_file``, ``frames_field``: where its frames were read, if elsewhere or under another name. Raises
        BadRecord: no id, or one that came before, or frames that are too many, none, not finite, of another width than
        the others', or (pixels instead of features) of another kind."""
        record = record or f"video {video.id}"
        if not video.id:
            raise BadRecord(file, record, "id", video.id, "every video needs an id; add one")
        try:
            frames = self._checked_frames(video, frames_field)
        except Wrong as wrong:
            raise wrong.at(frames_file or file, record) from None
        try:
            self._ids.execute("INSERT INTO video VALUES (?, ?)", (video.id, self.count))
        except sqlite3.IntegrityError:
            before = f"the same id came before, as video {self.row_of(video.id)} of the store"
            raise BadRecord(file, record, "id", video.id, f"{before}; remove or rename one of the two") from None
        n = 0
        if frames is not None:
            self.frame_dim = self.frame_dim or frames.shape[1]
            n = len(frames)
            self._put("frames.f16", self._features, frames.data.cast("B"))
        for image in video.images:
            self._put("images.bin", self._images, image)
        self._records.append({
            "id": video.id, "title": video.title, "asr": video.asr, "ocr": [{"time": float(t), "text": s} for t, s in video.ocr],
            "tags": None if video.tags is None else [int(tag) for tag in video.tags], "category": video.category, "part": video.part,
            "n_frames": n or len(video.images), "frame_offset": self._frames, "image_offset": self._image_bytes,
            "image_sizes": [len(image) for image in video.images],
        })  # fmt: skip
        self._frames += n
        self._image_bytes += sum(map(len, video.images))
        self.parts[video.part] = self.parts.get(video.part, 0) + 1
        if video.category is not None:
            self.categories.add(video.category)
        self.count += 1
        if len(self._records) == CHUNK:
            self._flush()
        return self.count - 1

    def _checked_frames(self, video: Video, field: str) -> np.ndarray | None:
        if video.images:
            frame_count(len(video.images), most=self.max_frames, field=field)
        given = video.frames is not None
        if self.count and given != bool(self._frames):
            before, value = ("no frame features", "features") if given else ("frame features", "none")
            raise Wrong(field, value, f"the videos before have {before}; give all of them features, or none")
        limits = {"most": self.max_frames, "width": self.frame_dim, "official": self._official, "field": field}
        return None if video.frames is None else frame_features(video.frames, **limits)

    def row_of(self, video_id: str) -> int | None:
        """Row of an id; None if no such video was added."""
        found = self._ids.execute("SELECT row FROM video WHERE id = ?", (video_id,)).fetchone()
        return None if found is None else found[0]

    def add_pair(self, id1: str, id2: str, score: float, file: Path | str = "", record: str = "") -> None:
        """A pair whose score is a number in [0, 1], as readers have checked. Raises BadRecord: an unknown video."""
        rows = []
        for number, video in enumerate((id1, id2), start=1):
            rows.append(self.row_of(video))
            if rows[-1] is None:
                remedy = "no video of that id was imported; add it or drop the pair"
                raise BadRecord(file, record, f"id{number}", video, remedy)
        self._rows.extend(rows)
        self._scores.append(score)

    @property
    def pairs(self) -> np.ndarray:
        """int64 [P, 2], rows of the pairs added so far."""
        return np.frombuffer(self._rows, np.int64).reshape(-1, 2) if self._rows else np.zeros((0, 2), np.int64)

    def finish(
        self,
        *,
        tags: list[int] | None = None,
        categories: list[str] | None = None,
        twin: dict | None = None,
        truth: pd.DataFrame | None = None,
        inside: Mapping[str, Any] | None = None,
    ) -> Store:
        """Complete the store and put it in place. ``tags``, ``categories``: ascending; what ``Store.tags_csr`` and
        ``Store.categories`` index into. ``twin``, ``truth``: what a generated corpus knows of itself; see
        ``Store.truth``. ``inside``: how files were searched for text. Raises StoreError: not a single video was imported."""
        if self.count == 0:
            first = f"; the first: {self.rejects.first}" if len(self.rejects) else "; the source names none"
            raise StoreError(f"{shown(self.out)}: no video could be imported ({len(self.rejects)} rejected{first})")
        self._flush()
        self._close()
        (self.partial / "ids.sqlite").unlink()
        if not self._image_bytes:
            (self.partial / "images.bin").unlink()
        content = {name: total.hexdigest() for name, total in self._sums.items()}
        repeats: dict[str, int] = {}
        if len(self._scores):
            scores = np.frombuffer(self._scores, np.float32)
            repeats = _repeats(self.pairs, scores)
            raw = self.pairs.astype("<i8").tobytes() + scores.astype("<f4").tobytes()
            content["pairs"] = hashlib.sha256(raw).hexdigest()
            table = pa.table([*self.pairs.T.copy(), scores], schema=PAIRS)
            write_arrow(self.partial / "pairs.arrow", table)
        if truth is not None:
            content["truth"] = hashlib.sha256(truth.to_numpy().astype("<f8").tobytes()).hexdigest()
            write_arrow(self.partial / "truth.arrow", pa.Table.from_pandas(truth, preserve_index=False))
        if len(self.rejects) or self.rejects.quarantine:
            self.rejects.write(self.partial / "rejects.parquet")
        known = {name: content[name] for name in ("frames.f16", "images.bin")}
        checksums = {file.name: known.get(file.name) or checksum(file) for file in sorted(self.partial.iterdir())}
        manifest = {
            "schema": SCHEMA_VERSION, "track": self.track, "source": self.source, "frame_dim": self.frame_dim if self._frames else None,
            "max_frames": self.max_frames, "images": bool(self._image_bytes), "tags": tags, "categories": categories, "checksums": checksums, "twin": twin, "inside": inside,
            "counts": {"videos": self.count, "frames": self._frames, "pairs": len(self._scores), "rejected": len(self.rejects), "parts": self.parts, **repeats},
            # of the content, not of the files: equal for every path, day and version of Arrow
            "fingerprint": hashlib.sha256(json.dumps([content, self.track, tags, categories], sort_keys=True).encode()).hexdigest()[:16],
        }  # fmt: skip
        write_json(self.partial / "manifest.json", manifest)
        self._finished = True
        replace_folder(self.partial, self.out)
        return Store.open(self.out)

    def _put(self, name: str, file, data) -> None:
        file.write(data)
        self._sums[name].update(data)

    def _flush(self) -> None:
        if self._records:
            self._writer.write_batch(pa.RecordBatch.from_pylist(self._records, schema=VIDEOS))
            for record in self._records:
                self._sums["records"].update(json.dumps(record, sort_keys=True).encode())
            self._records = []

    def _close(self) -> None:
        for part in (self._ids, self._writer, self._videos, self._features, self._images):
            part.close()


def frame_count(count: int, *, most: int, field: str = "frames") -> None:
    """Raises Wrong: no frame, or too many."""
    if count == 0:
        raise Wrong(field, 0, "a video needs at least one frame; drop the record or extract its frames again")
    if count > most:
        remedy = f"at most {most} frames are allowed; sample the video or raise the limit with --max-frames"
        raise Wrong(field, f"{count} frames", remedy)


def frame_features(
    matrix: np.ndarray, *, most: int, width: int | None, official: bool = False, field: str = "frames"
) -> np.ndarray:
    """The frames as float16 [n, width], n in 1..most, all finite. ``width``: expected numbers per frame; None before
    the first video. ``official``: the width is the format's own, not that of the videos before. Raises Wrong: any of it
    does not hold."""
    if matrix.ndim != 2 or matrix.dtype.kind not in "fiu":
        remedy = "must be a matrix of numbers, one row per frame; extract the features again"
        raise Wrong(field, f"{matrix.dtype} array of shape {matrix.shape}", remedy)
    frame_count(len(matrix), most=most, field=field)
    if matrix.shape[1] != (width or matrix.shape[1]) or matrix.shape[1] == 0:
        of_format = f"this format has {width} numbers per frame; pass --frame-dim for another extractor"
        of_others = f"the other videos have {width} numbers per frame; extract the features with one model"
        raise Wrong(field, f"{matrix.shape[1]} numbers per frame", of_format if official else of_others)
    with np.errstate(over="ignore"):  # what is too large for half precision becomes Inf and is reported as such
        half = np.ascontiguousarray(matrix, "<f2")
    if (half.view(np.uint16) & 0x7C00 == 0x7C00).any():  # all exponent bits set: Inf or NaN, found without converting
        row, place = np.argwhere(~np.isfinite(half))[0]
        remedy = "must be finite half-precision numbers, or they would spoil training; extract the features again"
        raise Wrong(field, f"{matrix[row, place]} in frame {row}", remedy)
    return half


def _repeats(rows: np.ndarray, scores: np.ndarray) -> dict[str, int]:
    """How many pairs repeat one that came before, in either order, contradict it by another score, or are of one video;
    and how many scores there are."""
    table = pd.DataFrame(np.sort(rows, axis=1), columns=["low", "high"]).assign(score=scores)
    again, same = table.duplicated(["low", "high"]), table.duplicated()
    found = {"repeated": again & same, "contradicting": again & ~same, "of one video": table["low"] == table["high"]}
    return {name: int(mask.sum()) for name, mask in found.items()} | {"scores": len(np.unique(scores))}


def write_arrow(path: Path, table: pa.Table) -> None:
    """An Arrow IPC file."""
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
