"""The pictures of a corpus as an encoder sees them: decoded, resized, cropped, as torchvision's ``Resize`` and
``CenterCrop`` do, in which the published transforms are written. Values stay uint8 until they are with the encoder."""

import io
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Literal, TypeVar

import numpy as np
from PIL import Image

from lib.data.pixels import DAMAGED, FORMATS, as_seen
from lib.data.rejects import BadRecord, Wrong
from lib.data.store import Store
from lib.features import frames as frame_rules
from lib.runs.machine import cores
from lib.runs.paths import shown

FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
X = TypeVar("X")
Y = TypeVar("Y")


class Pictures:
    """Pictures decoded when they are asked for, by video row, whether they are to be encoded once or at every step.

    Rows and frames count as those of the set of features that these pictures would give. Raises ValueError: the corpus
    has no pictures.

    Args:
        length, sample: how many pictures of a video there are at most, and the rule that picks them (``frames.pick``).
        mean: of the encoder; what is zero after normalisation, to half a grey level, is the published padding.
        workers: threads that decode; by default one a core. The pictures do not depend on it.
    """

    frame_dim = 0  # no features: the encoder says how wide they are

    def __init__(
        self,
        store: Store,
        *,
        length: int = 32,
        sample: str = "head",
        mean: Sequence[float] = (0.0, 0.0, 0.0),
        workers: int | None = None,
        **transform: Any,
    ):
        if not store.manifest["images"]:
            raise ValueError(
                f"{shown(store.path)}: this corpus came without pictures; import one that has them, or set "
                "features.frames.set: given and, where the model encodes pictures, model.images: null"
            )
        self.store, self.length, self.sample, self.transform = store, length, sample, transform
        self.size: int = transform.get("size", 224)
        self.workers = cores() if workers is None else workers
        self.n_frames: np.ndarray = np.minimum(store.n_images, length).astype(np.int32)
        self._pool: ThreadPoolExecutor | None = None
        self._blank = np.round(255 * np.array(mean)).astype(np.uint8)[:, None, None]

    def of(self, row: int, chosen: np.ndarray | None = None) -> np.ndarray:
        """uint8 [n, 3, S, S] of one video: all, or the chosen ones, in order; none for a video without pictures. Raises
        BadRecord: a damaged picture; names video, picture and remedy."""
        files = self.store.images(row)
        among = frame_rules.pick(len(files), self.length, self.sample) if files else np.arange(0)
        among = among if chosen is None else among[chosen]
        result = np.empty((len(among), 3, self.size, self.size), np.uint8)
        for place, index in zip(result, among.tolist(), strict=True):
            try:
                place[:] = decode(files[index], f"picture {index + 1} of {len(files)}", **self.transform)
            except Wrong as wrong:
                raise self._damaged(row, wrong) from None
        return result

    def batch(self, rows: list[int], chosen: list[np.ndarray], slots: int) -> np.ndarray:
        """uint8 [B, slots, 3, S, S]: of each row the chosen frames in order, then padding. Raises BadRecord as ``of``."""
        out = np.empty((len(rows), slots, 3, self.size, self.size), np.uint8)
        if self._pool is None:
            self._pool = ThreadPoolExecutor(max(1, self.workers), thread_name_prefix="decode")
        list(self._pool.map(self._fill, out, rows, chosen))
        return out

    def _fill(self, place: np.ndarray, row: int, chosen: np.ndarray) -> None:
        pictures = self.of(row, chosen) if len(chosen) else place[:0]
        place[: len(pictures)] = pictures
        place[len(pictures) :] = self._blank

    def _damaged(self, row: int, wrong: Wrong) -> BadRecord:
        name, source = self.store.video(row, frames=False).id, self.store.manifest["source"]
        remedy = f"{wrong.remedy}; replace it where the corpus was imported from ({source}) and import again, or build the set with quarantine"
        return BadRecord(self.store.path / "images.bin", f"video {name}", wrong.field, wrong.value, remedy)


def decode(
    data: bytes,
    name: str = "picture",
    *,
    size: int = 224,
    resize: int | None = None,
    crop: Literal["centre", "squash"] = "centre",
    interpolation: Literal["bilinear", "bicubic"] = "bicubic",
    draft: bool = False,
) -> np.ndarray:
    """uint8 [3, size, size] of a JPEG, PNG or WebP file. Raises Wrong: it cannot be decoded to its end.

    Args:
        resize: of the shorter side before the crop; None: ``size``.
        crop: squash brings both sides to ``size`` and cuts nothing off.
        draft: a JPEG is decoded at 1/2, 1/4 or 1/8 where that is still large enough: faster, slightly other pixels.
    """
    short = resize or size
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as opened:
            if draft:
                opened.draft("RGB", (short, short))
            picture = as_seen(opened).convert("RGB")
    except DAMAGED as error:
        what = str(error).split(" <_io")[0] or type(error).__name__
        raise Wrong(name, f"{len(data)} bytes ({what})", "cannot be decoded") from None
    if crop == "squash":
        return np.asarray(picture.resize((size, size), FILTERS[interpolation])).transpose(2, 0, 1)
    width, height = picture.size
    # the longer side is cut down, not rounded, as in torchvision
    wanted = (short, int(short * height / width)) if width <= height else (int(short * width / height), short)
    if picture.size != wanted:
        picture = picture.resize(wanted, FILTERS[interpolation])
    left, top = round((picture.width - size) / 2), round((picture.height - size) / 2)
    return np.asarray(picture.crop((left, top, left + size, top + size))).transpose(2, 0, 1)


def ahead(function: Callable[[X], Y], items: Iterable[X], threads: int, waiting: int) -> Generator[Y, None, None]:
    """``function`` of each item in order, computed in threads, at most ``waiting`` results ahead; without threads, in place."""
    if threads == 0:
        yield from map(function, items)
        return
    started: deque[Future[Y]] = deque()
    pool = ThreadPoolExecutor(threads)
    try:
        for item in items:
            started.append(pool.submit(function, item))
            if len(started) > waiting:
                yield started.popleft().result()
        while started:
            yield started.popleft().result()
    finally:  # also when the consumer stops early
        pool.shutdown(cancel_futures=True)
