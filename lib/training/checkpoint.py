"""The state of a run that is under way, on disk: whole or not at all, whatever kills the process or the machine."""

import os
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch

from lib.runs.files import disk_for, to_disk


class Checkpointer:
    """Keeps the newest complete checkpoint of a run as ``<folder>/checkpoint-<step>/<part>.pt``. A checkpoint is
    written beside the older one and takes its place only when it is complete. Parts that have not changed since (the
    best weights so far) are linked, not written again. ``writes``: False on all processes but one."""

    def __init__(self, folder: Path, *, writes: bool = True):
        self.folder, self.writes = Path(folder), writes

    def step(self) -> int | None:
        """Step of the newest complete checkpoint; None if there is none."""
        found = [path.name.removeprefix("checkpoint-") for path in self.folder.glob("checkpoint-*")]
        return max(map(int, found), default=None)

    def save(self, step: int, parts: Mapping[str, Any], unchanged: Collection[str] = ()) -> None:
        """Write a checkpoint and remove the older ones.

        Args:
            parts: name -> anything made of tensors, numbers, strings, lists and dictionaries.
            unchanged: names of further parts, taken over from the newest checkpoint.
        """
        if not self.writes:
            return
        older, target = self.step(), self._path(step)
        partial = self.folder / f".partial-{step}"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        for name, value in parts.items():
            with disk_for(partial / f"{name}.pt"):
                torch.save(value, partial / f"{name}.pt")
        for name in unchanged:
            if older is not None and (source := self._path(older) / f"{name}.pt").exists():
                _link(source, partial / source.name)
        if target.exists():  # resumed at this very step: it holds the same
            shutil.rmtree(partial)
            return
        to_disk(*partial.iterdir(), partial)  # the content before the name, so that a crash leaves no half under it
        os.replace(partial, target)
        to_disk(self.folder)
        for path in self.folder.glob("checkpoint-*"):
            if path != target:
                shutil.rmtree(path)

    def load(self, part: str, device: torch.device | str = "cpu") -> Any:
        """A part of the newest checkpoint; None if it has no such part. Raises FileNotFoundError: there is no
        checkpoint."""
        step = self.step()
        if step is None:
            raise FileNotFoundError(f"{self.folder}: holds no checkpoint")
        path = self._path(step) / f"{part}.pt"
        return torch.load(path, map_location=device, weights_only=True) if path.exists() else None

    def _path(self, step: int) -> Path:
        return self.folder / f"checkpoint-{step}"


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # a file system without links
        shutil.copyfile(source, target)
