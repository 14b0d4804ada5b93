"""The canonical store of a corpus: what every later stage reads, whatever the corpus came from.

A folder with ``videos.arrow`` (Arrow IPC, memory-mapped without decoding; parquet would have to be decoded into memory),
``pairs.arrow``, ``frames.f16`` (all frames end to end), ``images.bin`` where there are pixels, ``truth.arrow`` for
generated corpora, and ``manifest.json``. Frames are read with ``pread``: mapped pages would count as resident memory and
grow with the corpus.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from lib.data.schema import SCHEMA_VERSION, Video
from lib.runs.files import read_json
from lib.runs.paths import shown


class StoreError(RuntimeError):
    """The folder is not a finished store of this version; the message says what to do."""


class Store:
    """A finished store. Opening it reads the manifest and maps the table; nothing is loaded."""

    def __init__(self, path: Path, manifest: dict):
        self.path, self.manifest = path, manifest
        self.fingerprint: str = manifest["fingerprint"]
        self.track: str = manifest["track"]
        self.frame_dim: int | None = manifest["frame_dim"]
        self._map = pa.memory_map(str(path / "videos.arrow"))
        self._table = pa.ipc.open_file(self._map).read_all()
        self._files: dict[str, int] = {}

    @classmethod
    def open(cls, path: Path | str) -> Store:
        """Raises StoreError: no store there, an unfinished one, or one of another version."""
        path = Path(path)
        if not (path / "manifest.json").exists():
            unfinished = " (an unfinished import lies beside it)" if path.with_name(path.name + ".partial").exists() else ""
            raise StoreError(f"{shown(path)}: no store there{unfinished}; make one with: python -m lib corpus import <folder> --out {shown(path)}")
        manifest = read_json(path / "manifest.json")
        if manifest.get("schema") != SCHEMA_VERSION:
            raise StoreError(f"{shown(path)}: written as version {manifest.get('schema')}, this is {SCHEMA_VERSION}; import the corpus again")
        return cls(path, manifest)

    def __len__(self) -> int:
        return self._table.num_rows

    def column(self, name: str) -> np.ndarray:
        """A whole column; object array for text. Made on demand and not kept."""
        column = self._table.column(name)
        return column.to_numpy() if column.null_count == 0 or not pa.types.is_integer(column.type) else column.to_pandas().to_numpy()

    @property
    def parts(self) -> list[str]:
        return pc.unique(self._table.column("part")).to_pylist()

    @cached_property
    def n_frames(self) -> np.ndarray:
        """int32 [N]."""
        return self.column("n_frames").astype(np.int32)

    @cached_property
    def _frame_offset(self) -> np.ndarray:
        return self.column("frame_offset").astype(np.int64)

    def rows(self, *parts: str) -> np.ndarray:
        """int64 rows of these parts in store order; of all videos if none is named.

        Raises:
            StoreError: the corpus has no such part.
        """
        if not parts:
            return np.arange(len(self))
        unknown = set(parts) - set(self.parts)
        if unknown:
            raise StoreError(f"{shown(self.path)}: no part {sorted(unknown)[0]!r}; parts: {', '.join(self.parts)}")
        return np.flatnonzero(pc.is_in(self._table.column("part"), pa.array(parts)).to_numpy())

    def row_of(self, ids: Sequence[str]) -> np.ndarray:
        """int64 rows of video ids. Raises StoreError for an unknown id."""
        found = pc.index_in(pa.array(list(ids), pa.string()), self._table.column("id"))
        if found.null_count:
            raise StoreError(f"{shown(self.path)}: no video {list(ids)[found.is_null().to_pylist().index(True)]!r}")
        return found.to_numpy().astype(np.int64)

    def video(self, row: int, *, frames: bool = True) -> Video:
        """One video; ``frames=False`` leaves frames and images on disk."""
        record = {name: self._table.column(name)[row].as_py() for name in ("id", "title", "asr", "ocr", "tags", "category", "part")}
        return self._video(record, row, frames)

    def _video(self, record: dict, row: int, frames: bool) -> Video:
        return Video(
            id=record["id"], title=record["title"], asr=record["asr"],
            ocr=tuple((line["time"], line["text"]) for line in record["ocr"] or ()),
            tags=None if record["tags"] is None else tuple(record["tags"]),
            category=record["category"], part=record["part"],
            frames=self.frames(row) if frames and self.frame_dim else None,
            images=tuple(self.images(row)) if frames and self.manifest["images"] else (),
        )  # fmt: skip

    def iter_videos(self, batch: int = 1024, *, frames: bool = True) -> Iterator[Video]:
        """All videos in order, in constant memory."""
        for start in range(0, len(self), batch):
            chunk = self._table.slice(start, batch).select(["id", "title", "asr", "ocr", "tags", "category", "part"]).to_pylist()
            for offset, record in enumerate(chunk):
                yield self._video(record, start + offset, frames)

    def __iter__(self) -> Iterator[Video]:
        return self.iter_videos()

    def frames(self, row: int) -> np.ndarray:
        """float16 [n, D], a fresh array.

        Raises:
            StoreError: the corpus has pixels but no features, or the file ends too early.
        """
        if not self.frame_dim:
            raise StoreError(f"{shown(self.path)}: holds images but no frame features; extract them first")
        out = np.empty((int(self.n_frames[row]), self.frame_dim), dtype="<f2")
        self.read_frames(row, out)
        return out

    def read_frames(self, row: int, out: np.ndarray) -> None:
        """Fill a contiguous float16 [n, D] with a video's frames, without a copy in between.

        Raises:
            StoreError: the file ends too early.
        """
        start = int(self._frame_offset[row]) * self.frame_dim * 2
        if os.preadv(self._file("frames.f16"), [memoryview(out).cast("B")], start) != out.nbytes:
            raise StoreError(f"{shown(self.path / 'frames.f16')}: ends within the frames of video {row}; import the corpus again")

    def images(self, row: int) -> list[bytes]:
        """Encoded frames in order; empty if the corpus has no pixels."""
        sizes = self._table.column("image_sizes")[row].as_py() or []
        start = self._table.column("image_offset")[row].as_py() or 0
        raw = os.pread(self._file("images.bin"), sum(sizes), start) if sizes else b""
        ends = np.cumsum(sizes)
        return [raw[end - size : end] for size, end in zip(sizes, ends, strict=True)]

    def tags_csr(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Tags as sparse rows over ``manifest["tags"]``; tags outside that list are dropped, as in the competition.

        Returns:
            indptr int64 [N + 1], indices int32, known bool [N] (False where the tags are unknown).
        """
        column = self._table.column("tags").combine_chunks()
        known = np.asarray(column.is_valid())
        values = column.flatten().to_numpy(zero_copy_only=False)
        lengths = np.asarray(pc.fill_null(pc.list_value_length(column), 0)).astype(np.int64)
        owner = np.repeat(np.arange(len(self)), lengths)
        vocabulary = np.array(self.manifest["tags"] or [], dtype=np.int64)
        position = np.searchsorted(vocabulary, values).clip(max=max(len(vocabulary) - 1, 0))
        kept = vocabulary[position] == values if len(vocabulary) else np.zeros(len(values), bool)
        counts = np.bincount(owner[kept], minlength=len(self))
        return np.concatenate([[0], np.cumsum(counts)]), position[kept].astype(np.int32), known

    def categories(self) -> np.ndarray:
        """int32 [N], index into ``manifest["categories"]``; -1 where unknown."""
        known = pa.array(self.manifest["categories"] or [], pa.string())
        return np.asarray(pc.fill_null(pc.index_in(self._table.column("category"), known), -1)).astype(np.int32)

    def pairs(self) -> pd.DataFrame:
        """row1, row2 (int64), score (float32); empty for a corpus without pairs."""
        return self._read("pairs.arrow", ["row1", "row2", "score"])

    def truth(self) -> pd.DataFrame | None:
        """What the generator of a twin knows, aligned with the pairs (``oracle``) or the videos (``true_category``)."""
        return self._read("truth.arrow", []) if (self.path / "truth.arrow").exists() else None

    def _read(self, name: str, columns: list[str]) -> pd.DataFrame:
        file = self.path / name
        if not file.exists():
            return pd.DataFrame({column: [] for column in columns})
        with pa.memory_map(str(file)) as source:
            return pa.ipc.open_file(source).read_pandas()

    def _file(self, name: str) -> int:
        if name not in self._files:
            self._files[name] = os.open(self.path / name, os.O_RDONLY)
        return self._files[name]

    def __getstate__(self) -> dict:  # open files do not travel to other processes
        return {"path": self.path}

    def __setstate__(self, state: dict) -> None:
        self.__init__(state["path"], read_json(state["path"] / "manifest.json"))
