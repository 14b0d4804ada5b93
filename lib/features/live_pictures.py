"""Pictures decoded as they are needed, in place of a frame set: what a model with an image encoder of its own is fed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from lib.data.checks import Wrong
from lib.data.store import Store
from lib.features import frames as frame_rules
from lib.features.pictures import damaged, decode
from lib.recipes.specs import ImagesSpec
from lib.runs.machine import cores
from lib.runs.paths import shown


class LivePictures:
    """The pictures that a set of images would encode; rows and frames count as those of the set.

    Args:
        spec: of the set; how pictures are decoded and, of a long video, which ones there are.
        workers: threads that decode; by default one a core. The pictures do not depend on it.

    Raises:
        ValueError: the corpus has no pictures.
    """

    frame_dim = 0  # no features: the model's own encoder says how wide they are

    def __init__(self, store: Store, spec: ImagesSpec, workers: int | None = None):
        if not store.manifest["images"]:
            raise ValueError(
                f"{shown(store.path)}: this corpus came without pictures, and the model encodes pictures; import one that "
                "has them, or set model.images: null and features.frames.set: given"
            )
        self.store, self.spec, self.workers = store, spec, cores() if workers is None else workers
        self.n_frames: np.ndarray = np.minimum(store.n_images, spec.length).astype(np.int32)
        self._pool: ThreadPoolExecutor | None = None
        # what is zero after normalisation, to half a grey level: the published padding
        self._blank = np.round(255 * np.array(spec.mean)).astype(np.uint8)[:, None, None]

    def read(self, rows: list[int], chosen: list[np.ndarray], slots: int) -> np.ndarray:
        """uint8 [B, slots, 3, S, S]: of each row the chosen frames in order, then padding.

        Raises:
            BadRecord: a damaged picture; names video, picture and remedy.
        """
        size = self.spec.size
        out = np.empty((len(rows), slots, 3, size, size), np.uint8)
        if self._pool is None:
            self._pool = ThreadPoolExecutor(max(1, self.workers), thread_name_prefix="decode")
        list(self._pool.map(self._fill, out, rows, chosen))
        return out

    def _fill(self, place: np.ndarray, row: int, chosen: np.ndarray) -> None:
        files = self.store.images(row) if len(chosen) else []
        among = frame_rules.pick(len(files), self.spec.length, self.spec.sample)[chosen].tolist() if files else []
        for slot, index in zip(place, among, strict=False):
            try:
                slot[:] = decode(files[index], self.spec, f"picture {index + 1} of {len(files)}")
            except Wrong as wrong:
                raise damaged(self.store, row, wrong) from None
        place[len(among) :] = self._blank

    def __getstate__(self) -> dict:  # threads do not travel to other processes
        return {"store": self.store, "spec": self.spec, "workers": self.workers}

    def __setstate__(self, state: dict) -> None:
        self.__init__(**state)
