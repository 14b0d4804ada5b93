"""How files are read, whatever their format: one rule for byte-order marks, blank lines and missing values. A
JSON array is parsed here rather than by ``ijson``, which gives up the rest of the file at the first byte that is not
UTF-8, turns lone surrogates into question marks, and takes memory without bound for brackets that nest without end."""

import json
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq

from lib.data.rejects import UTF16, BadRecord, Rejects, instead

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
    """Raises BadRecord: the file is an archive or otherwise no text in UTF-8, whatever its name says."""
    with file.open("rb") as stream:
        head = stream.read(64)
    if head and (remedy := instead(head, UTF16 if b"\0" in head[:4] else "")):
        raise BadRecord(file, "file", "content", head[:4], remedy)


def once(names: Sequence[str], what: str) -> None:
    """Raises ValueError: a name comes twice, and either could be meant."""
    if len(set(names)) < len(names):
        raise ValueError(f"the {what} {next(name for name in names if names.count(name) > 1)!r} comes twice")


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object (``object_pairs_hook``). Raises ValueError: a key comes twice."""
    once([key for key, _ in pairs], "key")
    return dict(pairs)


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
        number, table = 0, parquet(file)
        try:
            for number, item in enumerate(row for batch in table.iter_batches(1024) for row in batch.to_pylist()):
                yield number, f"row {number}", item
        except (OSError, ValueError, pa.ArrowException) as error:
            remedy = "the file is damaged; write it again"
            raise BadRecord(file, f"row {number} or after it", "content", str(error), remedy) from None
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
            rejects.add(BadRecord(file, record, "JSON", line[:40], f"{error}; {remedy}"))


def parquet(file: Path) -> pq.ParquetFile:
    """Raises BadRecord: not a Parquet file, or a column comes twice."""
    try:
        found = pq.ParquetFile(file)
        once(found.schema_arrow.names, "column")
        return found
    except (OSError, ValueError) as error:
        raise BadRecord(file, "file", "content", str(error), "cannot be read as Parquet; write it again") from None


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
                if rest := (text[place + 1 :] + stream.read(BLOCK)).strip():
                    remedy = "there is something after the end of the array; annotations are one array"
                    raise BadRecord(file, f"record {number}", "JSON", rest[:40], remedy)
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
    """An archive, 0.7 kB of memory a member. Raises zipfile.BadZipFile: none, a damaged one, or a member comes twice."""
    try:
        found = zipfile.ZipFile(file)
        once(found.namelist(), "member")
        return found
    except ZIP_ERRORS as error:
        with file.open("rb") as stream:
            head = stream.read(64)
        raise zipfile.BadZipFile(str(error) if head[:2] == b"PK" else instead(head, str(error))) from None


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
