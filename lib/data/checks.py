"""What a video must be before it may enter a store; used by every importer through StoreWriter.

A check knows nothing of files: it raises ``Wrong`` with the field and its value, and who knows the place adds it.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from lib.data.rejects import BadRecord


class Wrong(ValueError):
    """A field that cannot be imported, before it is known where it stands."""

    def __init__(self, field: str, value: object, remedy: str):
        self.field, self.value, self.remedy = field, value, remedy
        super().__init__(f"{field}: {remedy}")

    def at(self, file: Path | str, record: str) -> BadRecord:
        return BadRecord(file, record, self.field, self.value, self.remedy)


def text(value: object, field: str) -> str:
    """The value, if it is text that can be written as UTF-8.

    Raises:
        Wrong: not text, or with bytes that are not UTF-8 (readers keep them as lone surrogates).
    """
    if not isinstance(value, str):
        raise Wrong(field, value, "must be text, empty where there is none")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        around = value[max(0, error.start - 8) : error.end + 8]
        raise Wrong(field, around, "not valid UTF-8 text; convert the file to UTF-8") from None
    return value


def frames(
    matrix: np.ndarray, *, most: int, width: int | None, official: bool = False, field: str = "frames"
) -> np.ndarray:
    """The frames as float16 [n, width], n in 1..most, all finite.

    Args:
        width: expected numbers per frame; None before the first video.
        official: the width is the format's own, not that of the videos before.

    Raises:
        Wrong: any of it does not hold.
    """
    if matrix.ndim != 2 or matrix.dtype.kind not in "fiu":
        raise Wrong(
            field,
            f"{matrix.dtype} array of shape {matrix.shape}",
            "must be a matrix of numbers, one row per frame; extract the features again",
        )
    count(len(matrix), most=most, field=field)
    if matrix.shape[1] != (width or matrix.shape[1]) or matrix.shape[1] == 0:
        expected = (
            f"this format has {width} numbers per frame; pass --frame-dim for another extractor"
            if official
            else f"the other videos have {width} numbers per frame; extract the features with one model"
        )
        raise Wrong(field, f"{matrix.shape[1]} numbers per frame", expected)
    half = matrix
    if matrix.dtype != np.dtype("<f2"):
        with np.errstate(over="ignore"):  # what is too large for half precision becomes Inf and is reported as such
            half = matrix.astype("<f2")
    half = np.ascontiguousarray(half)
    if (half.view(np.uint16) & 0x7C00 == 0x7C00).any():  # all exponent bits set: Inf or NaN, found without converting
        row, place = np.argwhere(~np.isfinite(half))[0]
        raise Wrong(
            field,
            f"{matrix[row, place]} in frame {row}",
            "must be finite half-precision numbers, or they would spoil training; extract the features again",
        )
    return half


def count(frames_: int, *, most: int, field: str = "frames") -> None:
    """Raises Wrong: no frame, or too many."""
    if frames_ == 0:
        raise Wrong(field, 0, "a video needs at least one frame; drop the record or extract its frames again")
    if frames_ > most:
        raise Wrong(
            field,
            f"{frames_} frames",
            f"at most {most} frames are allowed; sample the video or raise the limit with --max-frames",
        )


def image(data: bytes, name: str) -> None:
    """Raises Wrong: the header is not that of a JPEG or PNG image. Pixels are not decoded."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(data), formats=("JPEG", "PNG")):
            pass
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        raise Wrong(name, data[:12], "not a JPEG or PNG image; extract the frames again") from None
