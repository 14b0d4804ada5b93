"""Members of a large zip archive by name, in 16 bytes of memory a member.

``zipfile`` keeps an object of about a kilobyte for every member, a gigabyte for the million features of a WeChat corpus.
Here the central directory is read once, a block at a time, into two arrays; names are compared when a member is read.
"""

from __future__ import annotations

import os
import struct
import zipfile
import zlib
from array import array
from collections.abc import Iterator
from pathlib import Path

import numpy as np

END, END64, LOCATOR, CENTRAL, LOCAL = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07", b"PK\x01\x02", b"PK\x03\x04"
BLOCK = 1 << 20  # bytes of the central directory held at a time


class ZipIndex:
    """Random access to the members of an archive; stored or deflated, with or without zip64.

    Raises:
        zipfile.BadZipFile: no archive, or one cut short.
    """

    def __init__(self, path: Path):
        self._file = os.open(path, os.O_RDONLY)
        self._size = os.fstat(self._file).st_size
        try:
            hashes, entries = array("q"), array("q")
            for name, entry, _ in self._central():
                hashes.append(hash(name))
                entries.append(entry)
        except (struct.error, IndexError):
            os.close(self._file)
            raise zipfile.BadZipFile("the central directory is cut short") from None
        except zipfile.BadZipFile:
            os.close(self._file)
            raise
        keys = np.frombuffer(hashes, np.int64) if hashes else np.zeros(0, np.int64)
        order = np.argsort(keys, kind="stable")
        self._hashes, self._entries = keys[order], np.array(entries, np.int64)[order]

    def __len__(self) -> int:
        return len(self._hashes)

    def read(self, name: str) -> bytes:
        """Content of a member, its checksum verified.

        Raises:
            KeyError: no such member.
            zipfile.BadZipFile: damaged, encrypted, or packed in an unknown way.
        """
        wanted = name.encode("utf-8")
        place = int(np.searchsorted(self._hashes, hash(wanted)))
        while place < len(self._hashes) and self._hashes[place] == hash(wanted):
            found, entry = self._entry(int(self._entries[place]))
            if found == wanted:
                return self._content(name, *entry)
            place += 1
        raise KeyError(name)

    def close(self) -> None:
        os.close(self._file)

    def _content(self, name: str, flags: int, method: int, crc: int, packed: int, size: int, start: int) -> bytes:
        head = os.pread(self._file, 30, start)
        if head[:4] != LOCAL or len(head) < 30:
            raise zipfile.BadZipFile(f"{name}: no member where the directory says")
        if flags & 1 or method not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise zipfile.BadZipFile(
                f"{name}: encrypted, or packed by method {method}; only stored and deflated members can be read"
            )
        name_length, extra_length = struct.unpack("<HH", head[26:30])
        data = os.pread(self._file, packed, start + 30 + name_length + extra_length)
        if method == zipfile.ZIP_DEFLATED:
            try:
                data = zlib.decompressobj(-15).decompress(data, size + 1)
            except zlib.error as error:
                raise zipfile.BadZipFile(f"{name}: {error}") from None
        if len(data) != size or zlib.crc32(data) != crc:
            raise zipfile.BadZipFile(f"{name}: its checksum is wrong")
        return data

    def _central(self) -> Iterator[tuple[bytes, int, int]]:
        """(name, offset of the directory entry, its length) of every member."""
        start, length, count = self._directory()
        buffer, base, place = b"", start, 0
        for _ in range(count):
            if len(buffer) - place < 46 + 3 * 65_535 and base + len(buffer) < start + length:
                base, buffer, place = base + place, os.pread(self._file, BLOCK, base + place), 0
            if buffer[place : place + 4] != CENTRAL:
                raise zipfile.BadZipFile("the central directory is damaged")
            name, extra, comment = struct.unpack_from("<HHH", buffer, place + 28)
            size = 46 + name + extra + comment
            yield buffer[place + 46 : place + 46 + name], base + place, size
            place += size

    def _directory(self) -> tuple[int, int, int]:
        """Offset, length and number of entries of the central directory."""
        tail_start = max(0, self._size - 65_557)
        tail = os.pread(self._file, self._size - tail_start, tail_start)
        end = tail.rfind(END)
        if end < 0 or len(tail) - end < 22:
            raise zipfile.BadZipFile("no end of archive; it is no zip file, or cut short")
        count, length, start = struct.unpack_from("<HII", tail, end + 10)
        if count == 0xFFFF or 0xFFFFFFFF in (length, start):
            if tail[end - 20 : end - 16] != LOCATOR:
                raise zipfile.BadZipFile("the zip64 directory is missing")
            record = os.pread(self._file, 56, struct.unpack_from("<Q", tail, end - 12)[0])
            if record[:4] != END64:
                raise zipfile.BadZipFile("the zip64 directory is damaged")
            count, length, start = struct.unpack_from("<QQQ", record, 32)
        return start, length, count

    def _entry(self, offset: int) -> tuple[bytes, tuple[int, int, int, int, int, int]]:
        """Name, and flags, method, checksum, packed size, size and offset of the member's local header."""
        head = os.pread(self._file, 46, offset)
        flags, method = struct.unpack_from("<HH", head, 8)
        crc, packed, size, name_length, extra_length = struct.unpack_from("<IIIHH", head, 16)
        (start,) = struct.unpack_from("<I", head, 42)
        rest = os.pread(self._file, name_length + extra_length, offset + 46)
        extra, place = rest[name_length:], 0
        while place + 4 <= len(
            extra
        ):  # zip64 sizes stand in an extra field, in this order, where the plain ones are full
            kind, length = struct.unpack_from("<HH", extra, place)
            if kind == 1:
                wide = iter(struct.unpack_from(f"<{length // 8}Q", extra, place + 4))
                size = next(wide) if size == 0xFFFFFFFF else size
                packed = next(wide) if packed == 0xFFFFFFFF else packed
                start = next(wide) if start == 0xFFFFFFFF else start
            place += 4 + length
        return rest[:name_length], (flags, method, crc, packed, size, start)
