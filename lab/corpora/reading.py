"""How files are read, whatever their format: one rule for byte-order marks, blank lines and missing values. A
JSON array is parsed here rather than by ``ijson``, which gives up the rest of the file at the first byte that is not
UTF-8, turns lone surrogates into question marks, and takes memory without bound for brackets that nest without end."""

import json
import os
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq

from lib.data.rejects import BadRecord, Rejects, instead

BLOCK = 1 << 20  # characters of a JSON array read at a time
LONGEST = 1 << 24  # characters of one element; more means that it never ends
GAP = re.compile(r"[ \t\r\n,]*")
RATIO, SMALL = 100, 1 << 26  # a member of more bytes that unpacks to more than this many times its size is a bomb
ZIP_ERRORS = (zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, struct.error)
ZIP_ERRORS += (RuntimeError, ValueError, OverflowError, OSError, EOFError)


def text_lines(file: Path) -> Iterator[tuple[int, str]]:
    """(number, line without its end) of each line that is not blank, numbered from 1. Bytes that are not UTF-8 come as
    lone surrogates, so that the check of their field refuses one record, not the file. Raises BadRecord: it is packed."""
    refuse_packed(file)
    with file.open(encoding="utf-8-sig", errors="surrogateescape") as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                yield number, line.rstrip("\n")


def refuse_packed(file: Path) -> None:
    """Raises BadRecord: the file is an archive, whatever its name says."""
    with file.open("rb") as stream:
        head = stream.read(4)
    if head.startswith((b"\x1f\x8b", b"PK\3\4", b"\xfd7zX", b"(\xb5/\xfd")):
        raise BadRecord(file, "file", "content", head, instead(head, "the file is packed; unpack it first"))


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object (``object_pairs_hook``). Raises ValueError: a key comes twice, and either value could be meant."""
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(key for key in keys if keys.count(key) > 1)!r} comes twice")
    return found


def read_json(file: Path) -> Any:
    """Content of a small JSON file. Raises BadRecord: it is not UTF-8 or not JSON, or says a thing twice."""
    refuse_packed(file)
    try:
        return json.loads(file.read_text(encoding="utf-8-sig"), object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise BadRecord(file, "file", "content", str(error), "not a JSON file in UTF-8; write it again") from None


def objects(file: Path, rejects: Rejects) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """(number from 0, name of the record, record) of a ``.jsonl`` or ``.parquet`` file. Raises BadRecord: no Parquet
    file, or the first line that is no JSON object, unless ``rejects`` quarantines."""
    if file.suffix == ".parquet":
        rows = (item for batch in parquet(file).iter_batches(1024) for item in batch.to_pylist())
        yield from ((number, f"row {number}", item) for number, item in enumerate(rows))
        return
    for count, (number, line) in enumerate(text_lines(file)):
        record, remedy = f"line {number}", "every line is one JSON object"
        try:
            item = json.loads(line, object_pairs_hook=unique)
            if isinstance(item, dict):
                yield count, record, item
            else:
                rejects.add(BadRecord(file, record, "record", item, remedy))
        except (ValueError, RecursionError) as error:
            if isinstance(error, BadRecord):
                raise
            remedy = instead(os.fsencode(line) if count == 0 else b"{", f"{error}; {remedy}")
            rejects.add(BadRecord(file, record, "JSON", line[:40], remedy))


def parquet(file: Path) -> pq.ParquetFile:
    """Raises BadRecord: not a Parquet file."""
    try:
        return pq.ParquetFile(file)
    except (OSError, ValueError) as error:
        raise BadRecord(file, "file", "content", str(error), "not a Parquet file; write it again") from None


def json_array(file: Path) -> Iterator[tuple[int, Any]]:
    """(number from 0, element) of a JSON array of any length, in constant memory; text as in ``text_lines``. Raises
    BadRecord: the array itself is damaged or cut short, so that nothing after that place can be found."""
    refuse_packed(file)
    parse = json.JSONDecoder(object_pairs_hook=unique).raw_decode
    with file.open(encoding="utf-8-sig", errors="surrogateescape") as stream:
        while (text := stream.read(1)).isspace():
            pass
        if text != "[":
            remedy = "annotations are one JSON array of objects"
            raise BadRecord(file, "file", "content", text + stream.read(20), remedy)
        text, place, number, reason = "", 0, 0, ""
        while True:
            place = cast(re.Match, GAP.match(text, place)).end()
            if text.startswith("]", place):
                return
            try:
                value, end = parse(text, place)
                found, reason = end < len(text), "the array is not closed"  # a number may go on in the next block
            except (json.JSONDecodeError, RecursionError) as error:
                found, reason = False, getattr(error, "msg", "nested too deeply")
            except ValueError as error:
                raise BadRecord(
                    file, f"record {number}", "JSON", text[place : place + 40], f"{error}; remove one"
                ) from None
            if found:
                yield number, value
                number, place = number + 1, end
                continue
            block = stream.read(BLOCK) if len(text) - place < LONGEST else ""
            if not block:
                remedy = f"{reason}; the file is damaged or cut short, copy it again from its source"
                raise BadRecord(file, f"record {number}", "JSON", text[place : place + 40] or "end of file", remedy)
            text, place = text[place:] + block, 0


def open_zip(file: Path) -> zipfile.ZipFile:
    """An archive, 0.7 kB of memory a member. Raises zipfile.BadZipFile: none, or a damaged one."""
    try:
        return zipfile.ZipFile(file)
    except ZIP_ERRORS as error:
        raise zipfile.BadZipFile(str(error)) from None


def member(archive: zipfile.ZipFile, name: str) -> bytes:
    """Content of a member, its checksum verified. Raises KeyError: no such member; zipfile.BadZipFile: damaged,
    encrypted, packed in an unknown way, or a bomb by the sizes that the archive declares."""
    about = archive.getinfo(name)
    if about.file_size > max(SMALL, RATIO * about.compress_size):
        raise zipfile.BadZipFile(f"{name}: {about.compress_size:,} bytes would unpack to {about.file_size:,}")
    try:
        return archive.read(name)
    except ZIP_ERRORS as error:
        raise zipfile.BadZipFile(f"{name}: {error}") from None


def arrow_batches(file: Path, rows: int = 4096) -> Iterator[pa.RecordBatch]:
    """Batches of at most ``rows`` rows of an Arrow IPC file, in constant memory."""
    with pa.OSFile(str(file)) as source:
        reader = pa.ipc.open_file(source)
        for number in range(reader.num_record_batches):
            batch = reader.get_batch(number)
            yield from (batch.slice(start, rows) for start in range(0, len(batch), rows))
