"""Atomic writes: a file is there whole or not at all, whatever kills the process or the machine; and whether files are still
those that were written."""

import contextlib
import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from lib.runs.paths import home, shown


class DamagedFile(ValueError):
    """A file of ours is empty, cut, or not as it was written. The message names it and the way out."""


@contextlib.contextmanager
def disk_for(path: Path) -> Iterator[None]:
    """Says which file a full disk had no room for, whatever the library that wrote it says. Raises OSError: so it was."""
    try:
        yield
    except Exception as error:
        # arrow gives the number, safetensors and SQLite a text, and the zip writer of torch neither
        told = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or any(
            words in str(error) for words in ("os error 28", "database or disk is full")
        )
        if told or "inline_container" in str(error) and shutil.disk_usage(path.parent).free < 2**20:
            full = f"{shown(path)}: the disk is full; free some space and give the same command again, which goes on"
            raise OSError(full) from None
        raise


def write_atomically(path: Path, write: Callable[[Path], object], *, durable: bool = True) -> Path:
    """Let ``write`` fill a temporary neighbour of ``path``, then rename it over ``path``.

    The temporary name keeps the suffix, because numpy and matplotlib choose the format by it. The content reaches the disk
    before the new name does, and the name before this returns: half a file under the right name can't outlive a crash. It takes some
    milliseconds; a cache does without (``durable=False``).
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        with disk_for(path):
            write(temporary)
            if durable:
                to_disk(temporary)
        os.replace(temporary, path)
        if durable:
            to_disk(path.parent)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def writable(out: Path, head: bytes) -> Path:
    """The path. Raises FileExistsError: a file of another kind is there, which does not begin with ``head``; it could be a
    video."""
    if out.is_file():
        with out.open("rb") as file:
            if file.read(len(head)) != head:
                raise FileExistsError(f"{shown(out)}: a file of another kind is there and stays; choose another --out")
    return out


def to_disk(*paths: Path) -> None:
    """Returns when the content of files, and the names in folders, have reached the disk."""
    for path in paths:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def checksum(path: Path) -> str:
    """SHA-256 of a file's bytes, hexadecimal; about a gigabyte a second."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def replace_folder(partial: Path, target: Path) -> Path:
    """Move a complete folder to its place; an older one there is removed first, so a kill leaves one of them or none."""
    target = target.absolute()  # "." has no name that could be added to
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        old = target.with_name(f".{target.name}.old")
        shutil.rmtree(old, ignore_errors=True)
        os.replace(target, old)
        os.replace(partial, target)
        shutil.rmtree(old)
    else:
        os.replace(partial, target)
    return target


def lies_at(out: Path) -> set[str]:
    """Names of what is there already: a file, or what a folder holds but for what a Mac leaves in an empty one."""
    return {out.name} if out.is_file() else set(os.listdir(out)) - {".DS_Store"} if out.is_dir() else set()


@contextlib.contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """A folder to fill, which takes the place of ``out`` if nothing goes wrong and is gone otherwise, as on a full disk. Raises
    FileExistsError: there is something in ``out`` already."""
    if lies_at(out):
        raise FileExistsError(f"{shown(out)}: there is something already; choose another --out")
    partial = out.absolute().with_name(f"{out.absolute().name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        with disk_for(out):
            yield partial
            replace_folder(partial, out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def write_text(path: Path, text: str, *, durable: bool = True) -> Path:
    """UTF-8 text, whole or not at all; ``durable`` as for :func:`write_atomically`."""
    return write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"), durable=durable)


def write_json(path: Path, value: Any) -> Path:
    """Sorted keys and full precision, so that equal results are equal bytes. NaN is refused: it is not JSON."""
    return write_text(path, as_json(value))


def as_json(value: Any) -> str:
    """The text that ``write_json`` writes."""
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


ANEW = "remove it and run the command again, which makes it anew"


def read_object(path: Path, remedy: str = ANEW) -> dict[str, Any]:
    """As ``read_json``. Raises DamagedFile: also where the file holds something else than keys and values."""
    found = read_json(path, remedy)
    if not isinstance(found, dict):
        raise DamagedFile(f"{shown(path)}: expected keys and values, got {type(found).__name__}; {remedy}")
    return found


def read_json(path: Path, remedy: str = ANEW) -> Any:
    """What a JSON file holds. Raises DamagedFile: it is empty, cut or no JSON; names the file and the remedy."""
    try:
        text = path.read_text(encoding="utf-8")
        return json.loads(text)
    except UnicodeDecodeError as error:
        raise DamagedFile(f"{shown(path)}: not text in UTF-8 (byte {error.start}); {remedy}") from None
    except json.JSONDecodeError as error:
        what = f"no JSON ({error.msg}, line {error.lineno})" if text.strip() else "the file is empty"
        raise DamagedFile(f"{shown(path)}: {what}; {remedy}") from None


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
            return f"{shown(file)} is missing"
        facts = file.stat()
        state = [facts.st_size, facts.st_ino, facts.st_mtime_ns, facts.st_ctime_ns]
        of_file = hashlib.sha256(f"{file.resolve()}\n{expected}".encode()).hexdigest()[:24]
        note = home() / "runs" / ".verified" / f"{of_file}.json"
        known = _seen.get(note)
        with contextlib.suppress(OSError, ValueError):  # no note, or one that was cut short: the file is read again
            known = known or read_json(note)
        if known == state:
            continue
        if checksum(file) != expected:
            return f"{shown(file)} has changed since it was written (its checksum differs)"
        _seen[note] = state
        with contextlib.suppress(OSError):  # a home that cannot be written only costs time
            write_json(note, state)
    return None
