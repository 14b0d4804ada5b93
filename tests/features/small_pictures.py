"""Tiny pictures, corpora of them and the spec of a small set."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from lib.data.schema import Video
from lib.data.store import Store
from lib.data.writer import StoreWriter
from lib.recipes.specs import FeatureSet, ImagesSpec

ENCODER = "random-test_vit"


def spec_of(**changes) -> FeatureSet:
    pictures = ImagesSpec(
        **{"encoder": ENCODER, "size": 32, "length": 4, "sample": "bin_centre", "batch_size": 5, "shard": 4, **changes}
    )
    return FeatureSet(about="", use="Images", images=pictures)


def arguments(**changes) -> dict:
    """Of ``images.build``."""
    return spec_of(**changes).arguments(changes.get("encoder", ENCODER))


def picture(colour: tuple[int, int, int], size: tuple[int, int] = (32, 32), kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, kind)
    return file.getvalue()


def noise(width: int, height: int, kind: str = "JPEG") -> bytes:
    values = np.random.default_rng([width, height]).integers(0, 256, (height, width, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(values).save(file, kind)
    return file.getvalue()


def store_of(folder: Path, videos: list[list[bytes]]) -> Store:
    with StoreWriter(folder, track="classes", source="custom") as writer:
        for number, files in enumerate(videos):
            writer.add(Video(id=f"v{number}", title="标题", category="a/b", images=tuple(files)))
        return writer.finish(categories=["a/b"])
