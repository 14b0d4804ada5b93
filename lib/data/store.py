"""The canonical store of a corpus: what every later stage reads, whatever the corpus came from.

A folder with ``videos.arrow`` (Arrow IPC, mapped), ``pairs.arrow``, ``frames.f16`` (all frames end to end),
``images.bin`` where there are pixels, ``truth.arrow`` for generated corpora, and ``manifest.json``. Only single videos
are looked up in the mapped table: mapped pages count as resident memory, so columns and frames go through plain files.
"""

import os
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import compute
from pydantic import ValidationError

from lib.data.schema import SCHEMA_VERSION, Manifest, Video
from lib.runs.files import damaged, read_object
from lib.runs.paths import shown, typed

FIELDS = ("id", "title", "asr", "ocr", "tags", "category", "part")
pc: Any = compute  # makes its functions when it is imported, so their names cannot be checked


class StoreError(RuntimeError):
    """The folder is not a finished store of this version; the message says what to do."""


class FrameFile:
    """Frames of all videos end to end in ``frames.f16`` of a folder, half precision, without a copy in between."""

    path: Path
    frame_dim: int
    n_frames: Any  # int32 [N]
    _frame_offset: Any  # int64 [N]: of a video's first frame
    _remedy = "import the corpus again"

    def frames(self, row: int) -> np.ndarray:
        """float16 [n, D], a fresh array. Raises StoreError: the file ends too early."""
        out = np.empty((int(self.n_frames[row]), self.frame_dim), dtype="<f2")
        self.read_frames(row, out)
        return out

    def read_frames(self, row: int, out: np.ndarray) -> None:
        """Fill a contiguous float16 [n, D] with a video's frames. Raises StoreError: the file ends too early."""
        start = int(self._frame_offset[row]) * self.frame_dim * 2
        if len(out) and os.preadv(self._file("frames.f16"), [out.data.cast("B")], start) != out.nbytes:
            raise StoreError(f"{shown(self.path / 'frames.f16')}: ends within video {row}; {self._remedy}")

    @cached_property
    def _files(self) -> dict[str, int]:
        return {}

    def _file(self, name: str) -> int:
        if name not in self._files:
            self._files[name] = os.open(self.path / name, os.O_RDONLY)
        return self._files[name]


class Store(FrameFile):
    """A finished store. Opening it reads the manifest and maps the table; nothing is loaded."""

    def __init__(self, path: Path, manifest: dict):
        self.path, self.manifest = path, manifest
        self.fingerprint: str = manifest["fingerprint"]
        self.track: str = manifest["track"]
        self.frame_dim: int = manifest["frame_dim"] or 0  # 0: images only
        try:
            self._table = pa.ipc.open_file(pa.memory_map(str(path / "videos.arrow"))).read_all()
        except (OSError, pa.ArrowInvalid) as error:
            raise StoreError(f"{shown(path / 'videos.arrow')}: {error}; damaged, import the corpus again") from None

    @classmethod
    def open(cls, path: Path | str) -> "Store":
        """Raises StoreError: no store there, an unfinished one, or one of another version or with another manifest."""
        path = Path(path)
        if not (path / "manifest.json").exists():
            unfinished = " (an unfinished import is there)" if path.with_name(path.name + ".partial").exists() else ""
            raise StoreError(
                f"{shown(path)}: no store there{unfinished}; make one with: vidlab corpus import <folder> --out {typed(path)}"
            )
        manifest = read_object(path / "manifest.json", remedy := "import the corpus again")
        if (version := manifest.get("schema")) != SCHEMA_VERSION:
            raise StoreError(f"{shown(path)}: written as version {version}, this is {SCHEMA_VERSION}; {remedy}")
        try:
            Manifest.model_validate(manifest)
        except ValidationError as error:
            wrong = error.errors()[0]
            place = ".".join(map(str, wrong["loc"]))
            raise StoreError(f"{shown(path / 'manifest.json')}: {place}: {wrong['msg']}; {remedy}") from None
        return cls(path, manifest)

    def verified(self) -> "Store":
        """The store itself, if every file is the one its manifest lists; what a job or a feature set is made from.
        Raises StoreError: a file is missing or has changed (see ``files.damaged`` for what is noticed)."""
        if problem := damaged(self.path, self.manifest["checksums"]):
            raise StoreError(f"{problem}; import the corpus again, or restore the file")
        return self

    def __len__(self) -> int:
        return self._table.num_rows

    def batches(self, *columns: str) -> Iterator[pa.RecordBatch]:
        """These columns of ``videos.arrow`` in order, a record batch at a time, in constant memory."""
        with pa.OSFile(str(self.path / "videos.arrow")) as source:
            wanted = [self._table.schema.get_field_index(name) for name in columns]
            reader = pa.ipc.open_file(source, options=pa.ipc.IpcReadOptions(included_fields=wanted))
            for number in range(reader.num_record_batches):
                yield reader.get_batch(number).select(list(columns))

    def column(self, name: str) -> np.ndarray:
        """A whole column [N]; an object array for text and lists. Made on demand and not kept. Raises StoreError: no
        such column."""
        if name not in self._table.column_names:
            raise StoreError(f"{shown(self.path)}: no column {name!r}; columns: {', '.join(self._table.column_names)}")
        return self._each(name, lambda column: column)

    def _each(self, name: str, function: Callable[[pa.Array], Any]) -> np.ndarray:
        """What a function makes of a column [N], a record batch at a time."""
        return np.concatenate([function(b.column(0)).to_numpy(zero_copy_only=False) for b in self.batches(name)])

    @cached_property
    def parts(self) -> list[str]:
        """Names of the parts, in alphabetical order."""
        return sorted(self.manifest["counts"]["parts"])

    @cached_property
    def n_frames(self) -> np.ndarray:
        """int32 [N]."""
        return self.column("n_frames").astype(np.int32)

    @cached_property
    def n_images(self) -> np.ndarray:
        """int32 [N], pictures of each video."""
        return self._each("image_sizes", lambda sizes: pc.fill_null(pc.list_value_length(sizes), 0)).astype(np.int32)

    @cached_property
    def _frame_offset(self) -> np.ndarray:
        return self.column("frame_offset").astype(np.int64)

    def rows(self, *parts: str) -> np.ndarray:
        """int64 rows of these parts in store order; of all videos if none is named. Raises StoreError: the corpus has
        no such part."""
        if not parts:
            return np.arange(len(self))
        unknown = set(parts) - set(self.parts)
        if unknown:
            raise StoreError(f"{shown(self.path)}: no part {sorted(unknown)[0]!r}; parts: {', '.join(self.parts)}")
        return np.flatnonzero(self._each("part", lambda part: pc.is_in(part, pa.array(parts, pa.string()))))

    def video(self, row: int, *, frames: bool = True) -> Video:
        """One video; ``frames=False`` leaves frames and images on disk."""
        row = int(row)
        return self._video({name: self._table.column(name)[row].as_py() for name in FIELDS}, row, frames)

    def _video(self, record: dict, row: int, frames: bool) -> Video:
        return Video(
            id=record["id"], title=record["title"], asr=record["asr"],
            ocr=tuple((line["time"], line["text"]) for line in record["ocr"] or ()),
            tags=None if record["tags"] is None else tuple(record["tags"]),
            category=record["category"], part=record["part"],
            frames=self.frames(row) if frames and self.frame_dim and self.n_frames[row] else None,
            images=tuple(self.images(row)) if frames and self.manifest["images"] else (),
        )  # fmt: skip

    def iter_videos(self, batch: int = 1024, *, frames: bool = True) -> Iterator[Video]:
        """All videos in order, in constant memory; at most ``batch`` are held as Python objects."""
        row = 0
        for chunk in self.batches(*FIELDS):
            for start in range(0, len(chunk), batch):
                for record in chunk.slice(start, batch).to_pylist():
                    yield self._video(record, row, frames)
                    row += 1

    def __iter__(self) -> Iterator[Video]:
        return self.iter_videos()

    def frames(self, row: int) -> np.ndarray:
        """As of ``FrameFile``. Raises StoreError: the corpus has pixels but no features."""
        if not self.frame_dim:
            raise StoreError(f"{shown(self.path)}: holds images but no frame features; extract them first")
        return super().frames(row)

    def images(self, row: int) -> list[bytes]:
        """Encoded frames in order; empty if the corpus has no pixels."""
        sizes = self._table.column("image_sizes")[row].as_py() or []
        start = self._table.column("image_offset")[row].as_py() or 0
        raw = os.pread(self._file("images.bin"), sum(sizes), start) if sizes else b""
        ends = np.cumsum(sizes)
        return [raw[end - size : end] for size, end in zip(sizes, ends, strict=True)]

    def tags_csr(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Tags as sparse rows over ``manifest["tags"]``; tags outside that list are dropped, as in the competition.
        Returns indptr int64 [N + 1], indices int32, known bool [N] (False where the tags are unknown)."""
        vocabulary = np.array(self.manifest["tags"] or [], dtype=np.int64)
        counts, indices, known = [], [], []
        for batch in self.batches("tags"):
            column = batch.column(0)
            values = column.flatten().to_numpy(zero_copy_only=False)
            owner = np.repeat(np.arange(len(column)), pc.fill_null(pc.list_value_length(column), 0))
            position = np.searchsorted(vocabulary, values).clip(max=max(len(vocabulary) - 1, 0))
            kept = vocabulary[position] == values if len(vocabulary) else np.zeros(len(values), bool)
            counts.append(np.bincount(owner[kept], minlength=len(column)))
            indices.append(position[kept].astype(np.int32))
            known.append(column.is_valid().to_numpy(zero_copy_only=False))
        return np.concatenate([[0], np.cumsum(np.concatenate(counts))]), np.concatenate(indices), np.concatenate(known)

    def categories(self) -> np.ndarray:
        """int32 [N], index into ``manifest["categories"]``; -1 where unknown."""
        known = pa.array(self.manifest["categories"] or [], pa.string())
        return self._each("category", lambda names: pc.fill_null(pc.index_in(names, known), -1)).astype(np.int32)

    def pairs(self) -> pd.DataFrame:
        """row1, row2 (int64), score (float32); empty for a corpus without pairs."""
        return self._read("pairs.arrow", ["row1", "row2", "score"])

    def truth(self) -> pd.DataFrame | None:
        """What the generator of a twin knows: ``oracle`` (affinity) per pair, or ``true_category`` (index) per video; else None."""
        return self._read("truth.arrow", []) if (self.path / "truth.arrow").exists() else None

    def _read(self, name: str, columns: list[str]) -> pd.DataFrame:
        file = self.path / name
        if not file.exists():
            return pd.DataFrame({column: [] for column in columns})
        with pa.memory_map(str(file)) as source:
            return pa.ipc.open_file(source).read_pandas()
