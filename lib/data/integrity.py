"""Are the files of a store or a feature set those that were written? Their checksums are compared when one is opened."""

import contextlib
import hashlib
from collections.abc import Mapping
from pathlib import Path

from lib.runs import paths
from lib.runs.files import checksum, read_json, write_json

_seen: dict[Path, list[int]] = {}  # what this process has verified, for homes that cannot be written


def damaged(folder: Path, checksums: Mapping[str, str]) -> str | None:
    """The first file that is missing or has changed, as a sentence; None where all are whole.

    A file is read to its end once (half a gigabyte a second and core: 0.8 s for the 220 MB of a laptop corpus on a busy
    machine) and then again only if its size, inode, or the time of its last write or of its last change of any kind
    differ from those noted in ``runs/.verified``. The last of these no program can set back. ``checksums``: file name in
    the folder -> SHA-256, hexadecimal.
    """
    for name, expected in checksums.items():
        file = folder / name
        if not file.exists():
            return f"{paths.shown(file)} is missing"
        facts = file.stat()
        state = [facts.st_size, facts.st_ino, facts.st_mtime_ns, facts.st_ctime_ns]
        of_file = hashlib.sha256(f"{file.resolve()}\n{expected}".encode()).hexdigest()[:24]
        note = paths.home() / "runs" / ".verified" / f"{of_file}.json"
        known = _seen.get(note)
        with contextlib.suppress(OSError, ValueError):  # no note, or one that was cut short: the file is read again
            known = known or read_json(note)
        if known == state:
            continue
        if checksum(file) != expected:
            return f"{paths.shown(file)} has changed since it was written (its checksum differs)"
        _seen[note] = state
        with contextlib.suppress(OSError):  # a home that cannot be written only costs time
            write_json(note, state)
    return None
