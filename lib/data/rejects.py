"""Bad input: one error that names file, record, field, value and remedy; or a quarantine that lists every one."""

from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from lib.runs.paths import shown

LONGEST = 80  # characters of a value in a message
PACKED = {b"\x1f\x8b": "gzip", b"BZh9": "bzip2", b"\xfd7zX": "xz", b"(\xb5/\xfd": "zstd", b"x\x9c": "zlib"}
PAGES = (b"<!DOCTYPE", b"<!doctype", b"<html", b"<HTML", b"<?xml")
UTF16 = "the text is in UTF-16; save it as UTF-8"
INSTEAD = {  # what a file turns out to be, by its first bytes
    b"version https://git-lfs": "this is a pointer of Git LFS and not the file; run git lfs pull",
    **{start: f"the file is packed with {name}; unpack it first" for start, name in PACKED.items()},
    b"PK\3\4": "the file is a zip archive; unpack it first",
    **dict.fromkeys(PAGES, "this is a web page and not the file; download it again"),
    **dict.fromkeys((b"\xff\xfe", b"\xfe\xff"), UTF16),
}


class BadRecord(ValueError):
    """A record that cannot be imported: its file, which record and field, the value, shortened, and the remedy."""

    def __init__(self, file: Path | str, record: str, field: str, value: object, remedy: str):
        says = (shown(file), record, field, remedy)  # in names of files and in values, bytes need not be text
        self.file, self.record, self.field, self.remedy = (s.encode("utf-8", "backslashreplace").decode() for s in says)
        text = repr(value)
        self.value = text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."
        super().__init__(": ".join(filter(None, (self.file, self.record, f"{field} is {self.value}", self.remedy))))

    @property
    def row(self) -> list[str]:
        """What ``Rejects.write`` says of it."""
        return [str(getattr(self, name)) for name in Rejects.FIELDS]


class Wrong(ValueError):
    """A field that cannot be imported, before it is known where it stands."""

    def __init__(self, field: str, value: object, remedy: str):
        self.field, self.value, self.remedy = field, value, remedy
        super().__init__(f"{field}: {remedy}")

    def at(self, file: Path | str, record: str) -> BadRecord:
        return BadRecord(file, record, self.field, self.value, self.remedy)


def instead(file: bytes | Path, usual: str) -> str:
    """The remedy for a file, or its first bytes, that cannot be read. ``usual``: where these say nothing.

    >>> instead(b"<!DOCTYPE html>", "encode it again")
    'this is a web page and not the file; download it again'
    """
    if isinstance(file, Path):
        with file.open("rb") as stream:
            file = stream.read(64)
    if not file:
        return "the file is empty; copy it again from its source"
    return next((remedy for start, remedy in INSTEAD.items() if file.lstrip().startswith(start)), usual)


class Rejects:
    """What to do with bad records: stop at the first, or list them and go on. Only text is kept of a rejected record,
    some hundred bytes; a corpus with millions of them has another problem."""

    FIELDS = ("file", "record", "field", "value", "remedy")

    def __init__(self, quarantine: bool = False):
        self.quarantine = quarantine
        self._rows: list[list[str]] = []

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def first(self) -> str:
        """Of those that are listed, as a sentence."""
        return ": ".join(filter(None, self._rows[0]))

    def add(self, error: BadRecord) -> None:
        """Raises the error itself unless in quarantine."""
        if not self.quarantine:
            raise error
        self._rows.append(error.row)

    def extend(self, rows: Iterable[list[str]]) -> None:
        """Records that were listed before."""
        self._rows += rows

    def write(self, path: Path) -> None:
        """A Parquet table with a row per rejected record: file, record, field, value, remedy."""
        columns = zip(*self._rows, strict=True) if self._rows else [()] * len(self.FIELDS)
        pq.write_table(pa.table([pa.array(column, pa.string()) for column in columns], names=self.FIELDS), path)
