"""RunFolder: the name of every file a job leaves behind, the one test for "finished", and whether files are as written; and
its history: one line per logged step, score or event."""

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lib.runs.files import (
    DamagedFile,
    as_json,
    checksum,
    read_json,
    read_object,
    write_atomically,
    write_json,
    write_text,
)
from lib.runs.paths import shown


class History:
    """Rows are dictionaries with a ``step``. A run killed after its last checkpoint has logged steps that it will
    repeat: ``truncate`` cuts them, so that the file of a resumed run equals that of an uninterrupted one."""

    def __init__(self, path: Path):
        self.path = Path(path)

    def append(self, row: dict[str, Any]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")

    def truncate(self, step: int) -> None:
        """Drop rows after ``step`` and a half-written last line."""
        kept = [row for row in self.rows() if row["step"] <= step]
        write_text(self.path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in kept))

    def rows(self) -> list[dict[str, Any]]:
        if not self.path.exists():
            return []
        rows = []
        for line in self.path.read_text(encoding="utf-8").splitlines():
            try:
                rows.append(json.loads(line))
            except json.JSONDecodeError:  # the process died while writing this line
                break
        return rows

    def frame(self, kind: str = "loss") -> pd.DataFrame:
        """Rows that hold ``kind`` ("loss", "scores" or "event"); nested terms and scores become columns."""
        rows = [row for row in self.rows() if kind in row]
        return pd.json_normalize(rows, sep=".") if rows else pd.DataFrame({"step": []})


class MissingRun(FileNotFoundError):
    """A run that a table, figure or later stage needs is absent or belongs to other settings."""


@dataclass(frozen=True)
class RunFolder:
    """The folder of one job. Which files are there depends on the job: embeddings of videos or predictions of classes.
    ``metrics.json`` (scores) is written last. ``files.json``, just before it, lists every other file of the run, and
    ``metrics.json`` itself, with size in bytes and SHA-256: a run is finished when all of them are there."""

    path: Path

    job = property(lambda self: self.path / "job.yaml")
    provenance = property(lambda self: self.path / "provenance.json")
    weights = property(lambda self: self.path / "model.safetensors")
    objective_weights = property(lambda self: self.path / "objectives.safetensors")
    embeddings = property(lambda self: self.path / "embeddings.npz")
    predictions = property(lambda self: self.path / "predictions.npz")
    labels = property(lambda self: self.path / "labels.npz")
    metrics = property(lambda self: self.path / "metrics.json")
    files = property(lambda self: self.path / "files.json")
    timing = property(lambda self: self.path / "timing.json")
    state = property(lambda self: self.path / "state")
    notebook = property(lambda self: self.path / "notebook.ipynb")

    @property
    def history(self) -> History:
        return History(self.path / "history.jsonl")

    def is_done(self, digest: str) -> bool:
        """Finished with this digest, and every file that the run left is there with its size. Scores that were edited
        since, or a JSON file that was cut, make a run unfinished too, so that it is made again."""
        try:
            if not self.metrics.exists() or read_object(self.metrics).get("digest") != digest:
                return False
            listed = self._listed()
            return self._is_as_written(self.metrics) and all(
                (self.path / name).is_file() and (self.path / name).stat().st_size == entry["bytes"]
                for name, entry in listed.items()
            )
        except (DamagedFile, MissingRun):
            return False

    def read_metrics(self, digest: str | None = None, remedy: str = "") -> dict[str, Any]:
        """metrics.json as a dictionary. Raises MissingRun: no such run, or one made with other settings or code than
        ``digest``; the message carries ``remedy``; DamagedFile: the file is cut, or was edited after the run had
        written it."""
        if not self.metrics.exists():
            raise MissingRun(f"{shown(self.path)}: no finished run. {remedy}".strip())
        metrics = read_json(self.checked(self.metrics))
        if digest is not None and metrics["digest"] != digest:
            raise MissingRun(
                f"{shown(self.path)}: made with other settings or code (digest {metrics['digest']}, wanted {digest}). {remedy}".strip()
            )
        return metrics

    def checked(self, path: Path) -> Path:
        """The path of a file of this run, once its content is known to be what the run wrote. Raises MissingRun: the
        run left no such file; DamagedFile: the file has changed since."""
        if not path.exists() or path.name not in self._listed():
            raise MissingRun(
                f"{shown(path)}: the run did not leave this file; remove the folder and make the run again"
            )
        if not self._is_as_written(path):
            raise DamagedFile(
                f"{shown(path)}: not what the run wrote (SHA-256 differs from that in {self.files.name}); remove the folder "
                f"{shown(self.path)} and make the run again"
            )
        return path

    def _listed(self) -> dict[str, dict[str, Any]]:
        if not self.files.exists():
            raise MissingRun(f"{shown(self.files)} is missing, so the run is not whole; make the run again")
        return read_object(self.files)

    def _is_as_written(self, path: Path) -> bool:
        return checksum(path) == self._listed().get(path.name, {}).get("sha256")

    def read_timing(self) -> dict[str, Any]:
        return read_object(self.timing) if self.timing.exists() else {}

    def write_arrays(self, path: Path, **arrays: np.ndarray) -> None:
        write_atomically(path, lambda temporary: np.savez(temporary, allow_pickle=False, **arrays))

    def read_arrays(self, path: Path) -> dict[str, np.ndarray]:
        with np.load(self.checked(path), allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}

    @contextmanager
    def alone(self) -> Iterator[None]:
        """One process at a time trains into this folder; a second waits for it. The system drops the lock with its process."""
        self.path.mkdir(parents=True, exist_ok=True)
        folder = os.open(self.path, os.O_RDONLY)
        try:
            try:
                fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                print(f"{shown(self.path)}: another process trains this job; waiting for its end", flush=True)
                fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)

    def begin(self, digest: str) -> None:
        """Prepare the folder for a job: keep a resumable state of the same digest, drop everything older."""
        self.path.mkdir(parents=True, exist_ok=True)
        marker = self.path / "state" / "digest.json"
        try:
            resumable = marker.exists() and read_json(marker) == digest
        except DamagedFile:
            resumable = False
        for file in self.path.iterdir():
            if resumable and file.name in ("state", "history.jsonl") or file.name.startswith("notebook"):
                continue
            shutil.rmtree(file) if file.is_dir() else file.unlink()
        write_json(marker, digest)

    def finish(self, metrics: dict[str, Any]) -> None:
        """List the files of the run with their checksums, then write the scores: from now on the run is done."""
        text = as_json(metrics).encode()
        own = (file for file in self.path.iterdir() if file.is_file() and not file.name.startswith(("notebook", ".")))
        listed = {
            file.name: {"bytes": file.stat().st_size, "sha256": checksum(file)}
            for file in own
            if file not in (self.files, self.metrics)
        }
        listed[self.metrics.name] = {"bytes": len(text), "sha256": hashlib.sha256(text).hexdigest()}
        write_json(self.files, listed)
        write_text(self.metrics, text.decode())
        shutil.rmtree(self.state, ignore_errors=True)
