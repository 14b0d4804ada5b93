"""From the bytes of a picture to what an encoder sees: decoded, resized, cropped; numbers are scaled on the device.

Sizes and cut edges are those of torchvision's ``Resize`` and ``CenterCrop`` on a Pillow image, in which the published
transforms are written. Values stay uint8 until they are with the encoder: a quarter of the memory on the way.
"""

from __future__ import annotations

import io
import struct

import numpy as np
from PIL import Image

from lib.data.checks import Wrong
from lib.data.rejects import BadRecord
from lib.data.store import Store
from lib.recipes.specs import ImagesSpec

FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
# What Pillow raises for pictures that are cut short or damaged.
DAMAGED = (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error, Image.DecompressionBombError)


def decode(data: bytes, spec: ImagesSpec, name: str = "picture") -> np.ndarray:
    """uint8 [3, size, size] of a JPEG or PNG file.

    Args:
        name: what to call the picture if it is damaged.

    Raises:
        Wrong: it cannot be decoded to its end.
    """
    short = spec.resize or spec.size
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG", "PNG")) as opened:
            if spec.draft:
                opened.draft("RGB", (short, short))
            picture = opened.convert("RGB")
    except DAMAGED as error:
        what = str(error).split(" <_io")[0] or type(error).__name__
        raise Wrong(name, f"{len(data)} bytes ({what})", "cannot be decoded") from None
    if spec.crop == "squash":
        picture = picture.resize((spec.size, spec.size), FILTERS[spec.interpolation])
        return np.asarray(picture).transpose(2, 0, 1)
    return np.asarray(_centre(_shorter_side(picture, short, spec), spec.size)).transpose(2, 0, 1)


def damaged(store: Store, row: int, wrong: Wrong) -> BadRecord:
    """What to raise, or to put into quarantine, for a video with a damaged picture."""
    name = store.video(row, frames=False).id
    remedy = (
        f"{wrong.remedy}; replace it where the corpus was imported from ({store.manifest['source']}) and import again, "
        "or build the set with quarantine"
    )
    return BadRecord(store.path / "images.bin", f"video {name}", wrong.field, wrong.value, remedy)


def _shorter_side(picture: Image.Image, short: int, spec: ImagesSpec) -> Image.Image:
    width, height = picture.size
    wanted = (
        (short, int(short * height / width)) if width <= height else (int(short * width / height), short)
    )  # the longer side is cut down, not rounded, as in torchvision
    return picture if picture.size == wanted else picture.resize(wanted, FILTERS[spec.interpolation])


def _centre(picture: Image.Image, size: int) -> Image.Image:
    left, top = round((picture.width - size) / 2), round((picture.height - size) / 2)
    return picture.crop((left, top, left + size, top + size))
