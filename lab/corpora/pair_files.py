"""Labelled pairs: ``id1 <tab> id2 <tab> score`` lines, JSONL or Parquet with those three keys."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from tqdm.auto import tqdm

from lab.corpora.writer import StoreWriter
from lib.data.checks import Wrong
from lib.data.rejects import BadRecord, Rejects

KEYS = ("id1", "id2", "score")


def read_pairs(file: Path, writer: StoreWriter, rejects: Rejects) -> None:
    """Add every pair of a .tsv, .jsonl or .parquet file to the store.

    Raises:
        BadRecord: the first bad pair, unless ``rejects`` quarantines.
    """
    reader = {".tsv": _tsv, ".jsonl": _jsonl, ".parquet": _parquet}[file.suffix]
    for record, raw in tqdm(reader(file), desc="import pairs", unit="pair", mininterval=0.5):
        try:
            try:
                id1, id2, score = raw() if callable(raw) else raw
            except Wrong as wrong:
                raise wrong.at(file, record) from None
            writer.add_pair(id1, id2, score, file, record)
        except BadRecord as error:
            rejects.add(error)


def _tsv(file: Path) -> Iterator[tuple[str, Any]]:
    def parse(raw: bytes) -> tuple[str, str, float]:
        try:
            fields = raw.decode("utf-8").rstrip("\r\n").split("\t")
        except UnicodeDecodeError:
            raise Wrong("line", raw, "not valid UTF-8 text; convert the file to UTF-8") from None
        if len(fields) != 3:
            raise Wrong("line", raw.decode(), "a line is id1 <tab> id2 <tab> score")
        try:
            return fields[0].strip(), fields[1].strip(), float(fields[2])
        except ValueError:
            raise Wrong("score", fields[2], "a similarity is a number in [0, 1]; correct it or drop the pair") from None

    with file.open("rb") as lines:
        for number, raw in enumerate(lines, 1):
            if raw.strip():
                yield f"line {number}", lambda raw=raw: parse(raw)


def _jsonl(file: Path) -> Iterator[tuple[str, Any]]:
    def parse(raw: bytes) -> tuple[str, str, float]:
        try:
            return _keys(json.loads(raw.decode("utf-8")))
        except UnicodeDecodeError:
            raise Wrong("line", raw, "not valid UTF-8 text; convert the file to UTF-8") from None
        except json.JSONDecodeError as error:
            raise Wrong(
                "line", raw.decode(), f"{error.msg}; every line is one JSON object with id1, id2 and score"
            ) from None

    with file.open("rb") as lines:
        for number, raw in enumerate(lines, 1):
            if raw.strip():
                yield f"line {number}", lambda raw=raw: parse(raw)


def _parquet(file: Path) -> Iterator[tuple[str, Any]]:
    number = 0
    try:
        for batch in pq.ParquetFile(file).iter_batches(1024):
            for item in batch.to_pylist():
                yield f"row {number}", lambda item=item: _keys(item)
                number += 1
    except (OSError, ValueError) as error:
        raise BadRecord(file, "file", "content", str(error), "not a Parquet file; write it again") from None


def _keys(item: Any) -> tuple[str, str, float]:
    if not isinstance(item, dict):
        raise Wrong("pair", item, "a pair is an object with id1, id2 and score")
    for key in KEYS:
        if item.get(key) is None:
            raise Wrong(key, "missing", "a pair has id1, id2 and score; add it or drop the pair")
    return str(item["id1"]), str(item["id2"]), item["score"]
