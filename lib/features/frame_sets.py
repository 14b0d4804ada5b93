"""Frame sets: frame features kept apart from their corpus, read by video row as a store reads its own."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from lib.data.store import Store
from lib.runs.files import read_json
from lib.runs.paths import shown


class FrameSet:
    """A frame set on disk: ``features.json``, ``frames.f16`` (all frames end to end), ``offsets.npy`` int64 [N + 1].

    ``names`` and ``lengths`` are as those of a token set whose only field is ``frames``. Videos in quarantine have no frames; ``rejects.parquet`` says why.

    Raises:
        FileNotFoundError: there is no finished set; says how to make one.
    """

    def __init__(self, folder: Path):
        self.folder = Path(folder)
        if not (self.folder / "features.json").exists():
            raise FileNotFoundError(
                f"{shown(self.folder)}: no frame set; make it with: papermill notebooks/01_features.ipynb out.ipynb "
                f"-p corpus <corpus> -p features {self.folder.name}"
            )
        self.about = read_json(self.folder / "features.json")
        self.names = ["frames"]
        self.frame_dim: int = self.about["frame_dim"]
        self._offsets = np.load(self.folder / "offsets.npy")
        self.n_frames: np.ndarray = np.diff(self._offsets).astype(np.int32)
        self._file: int | None = None

    def __len__(self) -> int:
        return len(self.n_frames)

    def lengths(self, field: str = "frames") -> np.ndarray:
        """Frames per video, int32 [N]."""
        return self.n_frames

    def frames(self, row: int) -> np.ndarray:
        """float16 [n, D], a fresh array; n = 0 for a video in quarantine."""
        out = np.empty((int(self.n_frames[row]), self.frame_dim), dtype="<f2")
        self.read_frames(row, out)
        return out

    def read_frames(self, row: int, out: np.ndarray) -> None:
        """Fill a contiguous float16 [n, D] with a video's frames, without a copy in between.

        Raises:
            ValueError: the file ends too early.
        """
        if not len(out):
            return
        if self._file is None:
            self._file = os.open(self.folder / "frames.f16", os.O_RDONLY)
        start = int(self._offsets[row]) * self.frame_dim * 2
        if os.preadv(self._file, [memoryview(out).cast("B")], start) != out.nbytes:
            raise ValueError(
                f"{shown(self.folder / 'frames.f16')}: ends within the frames of video {row}; delete the set's "
                "features.json and build it again"
            )

    def __getstate__(self) -> dict:  # open files do not travel to other processes
        return {"folder": self.folder}

    def __setstate__(self, state: dict) -> None:
        self.__init__(state["folder"])


Frames = Store | FrameSet  # what holds frame features: n_frames, frame_dim, frames(row), read_frames(row, out)


def choose(store: Store, folder: Path | None) -> Frames:
    """The frame set of that folder, or, without one, the corpus' own features.

    Raises:
        ValueError: the set was made from another corpus, or there is no set and the corpus has only pictures.
        FileNotFoundError: there is no finished set in the folder.
    """
    if folder is None:
        if not store.frame_dim:
            raise ValueError(
                f"{shown(store.path)}: holds pictures but no frame features; name a set of images with "
                "features.frames.set (params/features/) and build it with notebooks/01_features.ipynb"
            )
        return store
    frames = FrameSet(folder)
    if frames.about["corpus"] != store.fingerprint:
        raise ValueError(f"{shown(folder)}: made from another corpus than {shown(store.path)}; build the set again")
    return frames
