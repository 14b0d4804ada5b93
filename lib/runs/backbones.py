"""Language models of the generated worlds, by name: ``params/backbones/<name>``, made by ``vidlab backbone``."""

from functools import cache
from pathlib import Path

from lib.runs import paths
from lib.runs.files import checksum

FILES = ("config.json", "model.safetensors", "tokenizer.json")


def folder(name: str) -> Path | None:
    """Where a backbone of that name lies; None for any other name, such as one of a public hub."""
    found = paths.params() / "backbones" / name
    return found if name and "/" not in name and (found / FILES[0]).exists() else None


def found(name: str) -> str:
    """What transformers is asked for: the folder, or the name itself."""
    return str(folder(name) or name)


def identity(name: str | None) -> str | list[str] | None:
    """What a digest holds: the name, and of a model that lies here the checksums of its files."""
    here = None if name is None else folder(name)
    return name if here is None else [str(name), *(_checksum(here / f, (here / f).stat().st_mtime_ns) for f in FILES)]


@cache
def _checksum(file: Path, changed: int) -> str:
    """Once a file, as every job of a plan asks for it."""
    return checksum(file)
