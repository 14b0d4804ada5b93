"""How far a long build is: features that grow by shards, and a log of the shards that count."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np


class Progress:
    """How far a build is: ``frames.f16`` grows by shards, ``shards.jsonl`` says which of its bytes count.

    What lies there is taken over if it was begun with the same digest, dimension and corpus size, else thrown away.
    """

    def __init__(self, partial: Path, digest: str, dim: int, videos: int):
        self.counts: list[int] = []  # frames of each finished video
        self.rejected: list[dict] = []
        self._dim, self._log = dim, partial / "shards.jsonl"
        head = {"digest": digest, "dim": dim, "videos": videos}
        lines = _whole_lines(self._log)
        if not lines or lines[0] != head:
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            lines = [head]
        frames = partial / "frames.f16"
        there = frames.stat().st_size // (2 * dim) if frames.exists() else 0
        while sum(sum(line["counts"]) for line in lines[1:]) > there:  # the machine, not the process, went down
            lines.pop()
        for line in lines[1:]:
            self.counts += line["counts"]
            self.rejected += line["wrong"]
        self._log.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        self._frames = frames.open("ab")
        self._frames.truncate(sum(self.counts) * dim * 2)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self._frames.close()

    def append(self, features: np.ndarray | None, counts: list[int], wrong: list[dict]) -> None:
        """Features first, then the line that makes them count; both are on disk when this returns."""
        if features is not None:
            self._frames.write(features.tobytes())
        self._frames.flush()
        os.fsync(self._frames.fileno())
        with self._log.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"counts": counts, "wrong": wrong}, default=str) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self.counts += counts
        self.rejected += wrong


def _whole_lines(file: Path) -> list[dict]:
    """The lines that were written to their end."""
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]
