"""Small files that both tracks write: truth tables, JSON arrays, stored zips, ids."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa

from lab.corpora.twin.random import DIM, choice
from lab.corpora.twin.world import COLUMNS, World

CHUNK = 256  # videos that are in memory at a time
EPOCH = (2022, 1, 1, 0, 0, 0)  # of zip members, so that equal content is equal bytes


class TruthFile:
    """What the generator knows of each video, an Arrow IPC file filled a chunk at a time. Columns: ``id``, ``part``,
    ``true_category``, the latent groups (``topic``, ``theme``, ``event``, ``look``, ``footage``), ``embedding``
    (float32 [48]; dot products are affinities) and a bool column per planted effect."""

    def __init__(self, path: Path, world: World, effects: list[str]):
        self.world, self.effects = world, effects
        fields = [("id", pa.string()), ("part", pa.string()), ("true_category", pa.string())]
        fields += [(name, pa.int32()) for name in COLUMNS] + [("embedding", pa.list_(pa.float32(), 2 * DIM))]
        self.schema = pa.schema(fields + [(name, pa.bool_()) for name in effects])
        self.shares = dict.fromkeys(effects, 0)
        self._rows, self._names = 0, np.array(world.class_ids)
        self._file = pa.OSFile(str(path), "wb")
        self._writer = pa.ipc.new_file(self._file, self.schema)

    def add(self, rows: np.ndarray, ids: list[str], part: str, effects: dict[str, np.ndarray]) -> None:
        world = self.world
        embedding = pa.FixedSizeListArray.from_arrays(world.embedding(rows).astype(np.float32).ravel(), 2 * DIM)
        columns = {"id": ids, "part": [part] * len(rows), "true_category": self._names[world.cls[rows]]}
        columns |= {name: getattr(world, name)[rows] for name in COLUMNS} | {"embedding": embedding} | effects
        self._writer.write_batch(pa.RecordBatch.from_pydict(columns, schema=self.schema))
        self._rows += len(rows)
        for name in self.effects:
            self.shares[name] += int(effects[name].sum())

    def planted(self) -> dict[str, float]:
        """Share of the videos with each planted effect."""
        return {name: count / max(1, self._rows) for name, count in self.shares.items()}

    def __enter__(self) -> TruthFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()
        self._file.close()


class JsonArray:
    """A JSON array of objects, written an object at a time."""

    def __init__(self, path: Path):
        self._file, self._separator = path.open("w", encoding="utf-8"), "[\n"

    def add(self, item: dict) -> None:
        self._file.write(self._separator + json.dumps(item, ensure_ascii=False))
        self._separator = ",\n"

    def close(self) -> None:
        self._file.write("\n]\n" if self._separator == ",\n" else "[]\n")
        self._file.close()


def add_member(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    """A member with a fixed date."""
    archive.writestr(zipfile.ZipInfo(name, EPOCH), content)


def npy(array: np.ndarray) -> bytes:
    """The array as the bytes of a .npy file."""
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def make_ids(rng: np.random.Generator, n: int) -> np.ndarray:
    """Distinct 63-bit ids [n], even over the residues mod 5, with the low four bits of real ids."""
    ids = np.zeros(0, np.int64)
    while len(ids) < n:
        high = rng.integers(3 * 10**15, 9 * 10**18, n - len(ids) + 16) >> 4
        more = (high << 4) + np.array([10, 14, 11, 6])[choice(rng, np.array([0.367, 0.619, 0.013, 0.001]), len(high))]
        ids = np.unique(np.concatenate([ids, more]))
    return rng.permutation(ids)[:n]


def chunks(rows: np.ndarray) -> list[np.ndarray]:
    """Rows in pieces of CHUNK, the last one shorter."""
    return np.split(rows, range(CHUNK, len(rows), CHUNK)) if len(rows) else []
