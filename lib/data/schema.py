"""One schema for both competitions and for one's own videos; and category trees: level 2 under level 1."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict

SCHEMA_VERSION = 1
MAX_FRAMES = 32  # of the official formats


@dataclass(frozen=True, slots=True)
class Video:
    """One video as an importer reads it. ``tags`` and ``category`` are None where they are unknown (test sets); an
    empty tuple means known to have none."""

    id: str
    title: str = ""
    asr: str = ""
    ocr: tuple[tuple[float, str], ...] = ()  # (seconds, text)
    tags: tuple[int, ...] | None = None
    category: str | None = None  # "10802" (aiac2021), "0105" (wechat2022)
    part: str = "train"
    frames: np.ndarray | None = None  # float16 [n, D], n >= 1
    images: tuple[bytes, ...] = ()  # encoded frames in order, where the corpus has pixels


class Counts(BaseModel):
    """Of a store."""

    model_config = ConfigDict(strict=True)
    videos: int
    frames: int
    pairs: int
    rejected: int
    parts: dict[str, int]


class Manifest(BaseModel):
    """``manifest.json`` of a store, as far as others rely on it."""

    model_config = ConfigDict(strict=True)
    track: Literal["pairs", "classes"]
    source: str
    fingerprint: str
    frame_dim: int | None
    max_frames: int
    images: bool
    tags: list[int] | None
    categories: list[str] | None
    checksums: dict[str, str]
    counts: Counts
    twin: dict[str, Any] | None


VIDEOS = pa.schema(
    [
        ("id", pa.string()),
        ("title", pa.string()),
        ("asr", pa.string()),
        ("ocr", pa.list_(pa.struct([("time", pa.float64()), ("text", pa.string())]))),
        ("tags", pa.list_(pa.int64())),
        ("category", pa.string()),
        ("part", pa.string()),
        ("n_frames", pa.int32()),
        ("frame_offset", pa.int64()),  # in frames, into frames.f16
        ("image_offset", pa.int64()),  # in bytes, into images.bin
        ("image_sizes", pa.list_(pa.int32())),
    ]
)
PAIRS = pa.schema([("row1", pa.int64()), ("row2", pa.int64()), ("score", pa.float32())])

# Which texts of a video each layout puts into a sequence, in order (``lib.features.text``).
FIELDS_OF_LAYOUT = {
    "cls_sep_title": ("title",),
    "cls_title": ("title",),
    "cls_title_cut": ("title",),
    "title_asr": ("title", "asr"),
    "title_asr_cut": ("title", "asr"),
    "words": ("title",),
    "packed": ("title", "ocr", "asr"),
    "blocks": ("title", "ocr", "asr"),
}


# Children of each of WeChat 2022's 23 level-1 categories, 00 to 22 (official category map).
WECHAT_CHILDREN = (9, 5, 9, 6, 6, 3, 3, 6, 6, 8, 4, 6, 6, 12, 4, 10, 11, 9, 7, 6, 16, 24, 24)
WECHAT_CATEGORIES = tuple(f"{top:02d}{sub:02d}" for top, count in enumerate(WECHAT_CHILDREN) for sub in range(count))


def level1(category: str) -> str:
    """The level-1 part of a category id: what stands before the last "/", or all but the last two digits of a number.

    >>> level1("0105"), level1("10802"), level1("animals/cat"), level1("cat")
    ('01', '108', 'animals', 'cat')
    """
    if "/" in category:
        return category.rsplit("/", 1)[0]
    return category[:-2] if category.isdigit() and len(category) > 2 else category


class CategoryTree:
    """Level-2 categories in ascending order of their id, and the level-1 category each belongs to. ``ids`` [C] are of
    level 2, ``level1_names`` [C1] of level 1; ``level1_of_level2`` int [C] indexes the latter."""

    def __init__(self, ids: Sequence[str]):
        """Raises ValueError: ids that are not in ascending order, so that an index would mean something else elsewhere."""
        self.ids = tuple(ids)
        if list(self.ids) != sorted(set(self.ids)):
            raise ValueError("category ids must be distinct and in ascending order")
        self.level1_names, self.level1_of_level2 = np.unique([level1(name) for name in self.ids], return_inverse=True)

    def __len__(self) -> int:
        return len(self.ids)
