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
        if not _is_known(file, expected):
            if checksum(file) != expected:
                return f"{paths.shown(file)} has changed since it was written (its checksum differs)"
            _remember(file, expected)
    return None


def _state(file: Path) -> list[int]:
    facts = file.stat()
    return [facts.st_size, facts.st_ino, facts.st_mtime_ns, facts.st_ctime_ns]


def _note(file: Path, checksum: str) -> Path:
    name = hashlib.sha256(f"{file.resolve()}\n{checksum}".encode()).hexdigest()[:24]
    return paths.home() / "runs" / ".verified" / f"{name}.json"


def _is_known(file: Path, checksum: str) -> bool:
    note, state = _note(file, checksum), _state(file)
    if _seen.get(note) == state:
        return True
    try:
        return read_json(note) == state
    except (OSError, ValueError):  # no note, or one that was cut short: the file is read again
        return False


def _remember(file: Path, checksum: str) -> None:
    note = _note(file, checksum)
    _seen[note] = _state(file)
    with contextlib.suppress(OSError):  # a home that cannot be written only costs time
        write_json(note, _seen[note])
