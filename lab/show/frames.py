"""Frames of videos as small pictures, and many of them as one file."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from lib.data.store import Store

SIDE = 96  # pixels of a thumbnail in a gallery, as wide as it is shown
QUALITY = 80  # of the JPEG
COLOURS = (
    16  # of a frame inside an SVG, which holds pictures as PNG: a fifth of the bytes, and so small it hardly shows
)


def thumbnail(store: Store, row: int, side: int = SIDE) -> Image.Image:
    """The middle one of a video's frames, cut to a square; the first and last are often black or a title card.

    Raises:
        ValueError: the video has no pictures.
    """
    frames = store.images(int(row))
    if not frames:
        raise ValueError(f"video {store.video(row, frames=False).id} has no pictures; ask for one with n_images > 0")
    picture = Image.open(io.BytesIO(frames[len(frames) // 2])).convert("RGB")
    edge = min(picture.size)
    left, top = ((length - edge) // 2 for length in picture.size)
    return picture.resize((side, side), Image.Resampling.LANCZOS, (left, top, left + edge, top + edge))


def few_colours(picture: Image.Image) -> np.ndarray:
    """uint8 [H, W, 3] with at most ``COLOURS`` colours."""
    return np.asarray(picture.quantize(COLOURS, dither=Image.Dither.NONE).convert("RGB"))


def sheet(store: Store, rows: np.ndarray, side: int = SIDE) -> bytes:
    """One JPEG of all thumbnails in their places; a video without pictures leaves its place white.

    Args:
        rows: int [R, C] store rows.
    """
    whole = Image.new("RGB", (side * rows.shape[1], side * rows.shape[0]), "white")
    for (line, place), row in np.ndenumerate(rows):
        if store.n_images[row]:
            whole.paste(thumbnail(store, row, side), (place * side, line * side))
    buffer = io.BytesIO()
    whole.save(buffer, "jpeg", quality=QUALITY, optimize=True)
    return buffer.getvalue()
