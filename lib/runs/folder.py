"""RunFolder: the name of every file a job leaves behind, and the one test for "finished"."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lib.runs.files import read_json, write_atomically, write_json
from lib.runs.history import History
from lib.runs.paths import shown


class MissingRun(FileNotFoundError):
    """A run that a table, figure or later stage needs is absent or belongs to other settings."""


@dataclass(frozen=True)
class RunFolder:
    path: Path

    job = property(lambda self: self.path / "job.yaml")
    provenance = property(lambda self: self.path / "provenance.json")
    weights = property(lambda self: self.path / "model.safetensors")
    objective_weights = property(lambda self: self.path / "objectives.safetensors")
    embeddings = property(lambda self: self.path / "embeddings.npz")
    predictions = property(lambda self: self.path / "predictions.npz")
    metrics = property(lambda self: self.path / "metrics.json")
    timing = property(lambda self: self.path / "timing.json")
    slices = property(lambda self: self.path / "slices.json")
    state = property(lambda self: self.path / "state")
    notebook = property(lambda self: self.path / "notebook.ipynb")

    @property
    def history(self) -> History:
        return History(self.path / "history.jsonl")

    def is_done(self, digest: str) -> bool:
        """metrics.json is written last, so its presence with the right digest means that everything else is there."""
        return self.metrics.exists() and read_json(self.metrics)["digest"] == digest

    def read_metrics(self, digest: str | None = None, remedy: str = "") -> dict[str, Any]:
        """metrics.json as a dictionary.

        Raises:
            MissingRun: no such run, or one made with other settings or code than ``digest``; the message carries ``remedy``.
        """
        if not self.metrics.exists():
            raise MissingRun(f"{shown(self.path)}: no finished run. {remedy}".strip())
        metrics = read_json(self.metrics)
        if digest is not None and metrics["digest"] != digest:
            raise MissingRun(
                f"{shown(self.path)}: made with other settings or code (digest {metrics['digest']}, wanted {digest}). {remedy}".strip()
            )
        return metrics

    def read_timing(self) -> dict[str, Any]:
        return read_json(self.timing) if self.timing.exists() else {}

    def write_arrays(self, path: Path, **arrays: np.ndarray) -> None:
        write_atomically(path, lambda temporary: np.savez(temporary, allow_pickle=False, **arrays))

    def read_arrays(self, path: Path) -> dict[str, np.ndarray]:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}

    def begin(self, digest: str) -> None:
        """Prepare the folder for a job: keep a resumable state of the same digest, drop everything older."""
        self.path.mkdir(parents=True, exist_ok=True)
        marker = self.path / "state" / "digest.json"
        resumable = marker.exists() and read_json(marker) == digest
        for file in self.path.iterdir():
            if resumable and file.name in ("state", "history.jsonl") or file.name.startswith("notebook"):
                continue
            shutil.rmtree(file) if file.is_dir() else file.unlink()
        write_json(marker, digest)

    def finish(self, metrics: dict[str, Any]) -> None:
        write_json(self.metrics, metrics)
        shutil.rmtree(self.state, ignore_errors=True)
