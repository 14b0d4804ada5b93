"""StoreWriter: fills a store in constant memory and puts it in place whole."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from lib.data.rejects import BadRecord, Rejects
from lib.data.schema import MAX_FRAMES, PAIRS, SCHEMA_VERSION, VIDEOS, Video
from lib.data.store import Store, StoreError
from lib.runs.files import replace_folder, write_json
from lib.runs.paths import shown

CHUNK = 2048  # videos per Arrow record batch


class StoreWriter:
    """Writes into ``<out>.partial`` and renames it on ``finish``; leaving the block by an error removes it.

    Ids go into a small database on disk, so that neither duplicates nor the rows of pairs need memory that grows.

    Args:
        out: folder of the store.
        track: "pairs" or "classes".
        source: name of the format it came from.
        overwrite: replace a store that is there.

    Raises:
        StoreError: there is a store already and ``overwrite`` is False.
    """

    def __init__(self, out: Path, *, track: str, source: str, max_frames: int = MAX_FRAMES, overwrite: bool = False, rejects: Rejects | None = None):
        self.out, self.track, self.source, self.max_frames = Path(out), track, source, max_frames
        if self.out.exists() and not overwrite:
            raise StoreError(f"{shown(self.out)}: there is something already; choose another --out or pass --overwrite")
        self.rejects = rejects or Rejects()
        self.partial = self.out.with_name(self.out.name + ".partial")
        shutil.rmtree(self.partial, ignore_errors=True)
        self.partial.mkdir(parents=True)
        self.frame_dim: int | None = None
        self.count = self._frames = self._image_bytes = 0
        self.parts: dict[str, int] = {}
        self._records: list[dict[str, Any]] = []
        self.pairs: list[tuple[int, int, float]] = []
        self._pair_ids = sqlite3.connect(self.partial / "ids.sqlite")
        self._pair_ids.executescript("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; CREATE TABLE video (id TEXT PRIMARY KEY, row INTEGER) WITHOUT ROWID;")
        self._videos = pa.OSFile(str(self.partial / "videos.arrow"), "wb")
        self._writer = pa.ipc.new_file(self._videos, VIDEOS)
        self._features = (self.partial / "frames.f16").open("wb")
        self._images = (self.partial / "images.bin").open("wb")
        self._sums = {name: hashlib.sha256() for name in ("frames.f16", "images.bin", "records")}

    def __enter__(self) -> StoreWriter:
        return self

    def __exit__(self, kind, error, trace) -> None:
        if kind is not None:
            self._close()
            shutil.rmtree(self.partial, ignore_errors=True)

    def add(self, video: Video, file: Path | str = "") -> int:
        """Append a video; returns its row.

        Raises:
            BadRecord: the id occurs twice.
        """
        try:
            self._pair_ids.execute("INSERT INTO video VALUES (?, ?)", (video.id, self.count))
        except sqlite3.IntegrityError:
            raise BadRecord(file, f"video {video.id}", "id", video.id, "the same id came before; remove or rename one of the two") from None
        n, raw = 0, b""
        if video.frames is not None:
            self.frame_dim = self.frame_dim or video.frames.shape[1]
            n, raw = len(video.frames), np.ascontiguousarray(video.frames, dtype="<f2").tobytes()
            self._features.write(raw)
            self._sums["frames.f16"].update(raw)
        for image in video.images:
            self._images.write(image)
            self._sums["images.bin"].update(image)
        self._records.append({
            "id": video.id, "title": video.title, "asr": video.asr, "ocr": [{"time": t, "text": s} for t, s in video.ocr],
            "tags": None if video.tags is None else list(video.tags), "category": video.category, "part": video.part,
            "n_frames": n or len(video.images), "frame_offset": self._frames, "image_offset": self._image_bytes,
            "image_sizes": [len(image) for image in video.images],
        })  # fmt: skip
        self._frames += n
        self._image_bytes += sum(map(len, video.images))
        self.parts[video.part] = self.parts.get(video.part, 0) + 1
        self.count += 1
        if len(self._records) == CHUNK:
            self._flush()
        return self.count - 1

    def row_of(self, video_id: str) -> int | None:
        found = self._pair_ids.execute("SELECT row FROM video WHERE id = ?", (video_id,)).fetchone()
        return None if found is None else found[0]

    def add_pair(self, id1: str, id2: str, score: float, file: Path | str = "", record: str = "") -> None:
        """Raises BadRecord: an unknown video, or a score that is not a number in [0, 1]."""
        rows = []
        for number, video in enumerate((id1, id2), start=1):
            row = self.row_of(video)
            if row is None:
                raise BadRecord(file, record, f"id{number}", video, "no video of that id was imported; add it or drop the pair")
            rows.append(row)
        if not 0 <= score <= 1:
            raise BadRecord(file, record, "score", score, "a similarity lies in [0, 1]; rescale it or drop the pair")
        self.pairs.append((*rows, score))

    def finish(self, *, tags: list[int] | None = None, categories: list[str] | None = None, twin: dict | None = None, truth: pd.DataFrame | None = None) -> Store:
        """Complete the store and put it in place.

        Raises:
            StoreError: not a single video was imported.
        """
        if self.count == 0:
            raise StoreError(f"{shown(self.out)}: no video could be imported ({len(self.rejects.errors)} rejected)")
        self._flush()
        self._close()
        (self.partial / "ids.sqlite").unlink()
        if not self._image_bytes:
            (self.partial / "images.bin").unlink()
        if self.pairs:
            rows1, rows2, scores = zip(*self.pairs, strict=True)
            table = pa.table([pa.array(rows1), pa.array(rows2), pa.array(scores, pa.float32())], schema=PAIRS)
            self._write("pairs.arrow", table)
            self._sums["records"].update(repr(self.pairs).encode())
        if truth is not None:
            self._write("truth.arrow", pa.Table.from_pandas(truth, preserve_index=False))
        if self.rejects.errors:
            self.rejects.write(self.partial / "rejects.parquet")
        checksums = {name: value.hexdigest() for name, value in self._sums.items()}
        content = repr([checksums, self.track, tags, categories])
        manifest = {
            "schema": SCHEMA_VERSION, "track": self.track, "source": self.source, "frame_dim": self.frame_dim, "max_frames": self.max_frames,
            "images": bool(self._image_bytes), "tags": tags, "categories": categories, "checksums": checksums, "twin": twin,
            "counts": {"videos": self.count, "frames": self._frames, "pairs": len(self.pairs), "rejected": len(self.rejects.errors), "parts": self.parts},
            "fingerprint": hashlib.sha256(content.encode()).hexdigest()[:16],
        }  # fmt: skip
        write_json(self.partial / "manifest.json", manifest)
        replace_folder(self.partial, self.out)
        return Store.open(self.out)

    def _write(self, name: str, table: pa.Table) -> None:
        with pa.OSFile(str(self.partial / name), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)

    def _flush(self) -> None:
        if self._records:
            self._writer.write_batch(pa.RecordBatch.from_pylist(self._records, schema=VIDEOS))
            for record in self._records:
                self._sums["records"].update(repr(sorted(record.items())).encode())
            self._records = []

    def _close(self) -> None:
        self._pair_ids.close()
        self._writer.close()
        self._videos.close()
        self._features.close()
        self._images.close()
