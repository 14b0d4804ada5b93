"""Your own videos into a store: a manifest (JSONL or Parquet) plus .npy features, image folders or .mp4 files.

``manifest.jsonl``: one object a line with any of ``id`` (default: the line number), ``title``, ``asr``, ``ocr`` (text or a
list of {time, text}), ``tags`` (list of integers), ``category`` (text; all but the last two characters name the level-1
class), ``part`` (default "pairwise" where there are pairs, else "labeled"), ``frames`` (path of an .npy [n, D], an image
folder or a video file, relative to the manifest). ``pairs.tsv`` beside it: id1, id2, score in [0, 1].
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from tqdm.auto import tqdm

from lib.data.aiac2021 import _pairs as read_pairs
from lib.data.rejects import BadRecord, Rejects, check_frames
from lib.data.schema import Video
from lib.data.writer import StoreWriter

IMAGES = (".jpg", ".jpeg", ".png")
MOVIES = (".mp4", ".mov", ".mkv", ".webm", ".avi")
KEYS = {"id", "title", "asr", "ocr", "tags", "category", "part", "frames"}


def recognise(folder: Path) -> bool:
    return _manifest(folder) is not None


def track(folder: Path) -> str:
    """pairs if there are pairs, else classes."""
    return "pairs" if (folder / "pairs.tsv").exists() else "classes"


def read(folder: Path, writer: StoreWriter, rejects: Rejects, *, max_frames: int) -> dict[str, Any]:
    """Import the manifest; frames from pixels are stored as JPEG, at most ``max_frames``, evenly spread.

    Raises:
        BadRecord: the first bad record, unless ``rejects`` quarantines.
    """
    file = _manifest(folder)
    assert file is not None
    default = "pairwise" if writer.track == "pairs" else "labeled"
    tags: set[int] = set()
    categories: set[str] = set()
    for number, item in tqdm(_records(file, rejects), desc="import videos", unit="video"):
        try:
            video = _video(item, number, file, default, max_frames, writer.frame_dim)
            writer.add(video, file)
            tags.update(video.tags or ())
            categories.update([video.category] if video.category else ())
        except BadRecord as error:
            rejects.add(error)
    if writer.track == "pairs":
        read_pairs(folder / "pairs.tsv", writer, rejects)
    return {"tags": sorted(tags) or None, "categories": sorted(categories) or None}


def _manifest(folder: Path) -> Path | None:
    return next((folder / name for name in ("manifest.jsonl", "manifest.parquet") if (folder / name).exists()), None)


def _records(file: Path, rejects: Rejects) -> Iterator[tuple[int, dict]]:
    if file.suffix == ".parquet":
        number = 0
        for batch in pq.ParquetFile(file).iter_batches(1024):
            for item in batch.to_pylist():
                yield number, {key: value for key, value in item.items() if value is not None}
                number += 1
        return
    with file.open("rb") as lines:
        for number, line in enumerate(lines):
            try:
                item = json.loads(line.decode("utf-8"))
                if not isinstance(item, dict):
                    raise ValueError("not an object")
                yield number, item
            except UnicodeDecodeError:
                rejects.add(BadRecord(file, f"line {number + 1}", "text", line[:40], "not valid UTF-8; convert the file to UTF-8"))
            except ValueError as error:
                rejects.add(BadRecord(file, f"line {number + 1}", "JSON", line[:40], f"{error}; every line is one JSON object"))


def _video(item: dict, number: int, file: Path, default: str, max_frames: int, width: int | None) -> Video:
    name = str(item.get("id", number))
    record = f"line {number + 1} (video {name})"
    unknown = set(item) - KEYS
    if unknown:
        raise BadRecord(file, record, sorted(unknown)[0], item[sorted(unknown)[0]], f"unknown key; a record has {', '.join(sorted(KEYS))}")
    for key in ("title", "asr"):
        if not isinstance(item.get(key, ""), str):
            raise BadRecord(file, record, key, item[key], "must be text")
    ocr = item.get("ocr", ())
    if isinstance(ocr, str):
        ocr = [{"time": 0, "text": ocr}] if ocr else []
    if any(not isinstance(line, dict) or not isinstance(line.get("text"), str) for line in ocr):
        raise BadRecord(file, record, "ocr", item["ocr"], "must be text or a list of {time, text}")
    tags = item.get("tags")
    if tags is not None and any(not isinstance(tag, int) or isinstance(tag, bool) or tag < 0 for tag in tags):
        raise BadRecord(file, record, "tags", tags, "must be a list of non-negative integers")
    category = item.get("category")
    if category is not None and (not isinstance(category, str) or len(category) < 3):
        raise BadRecord(file, record, "category", category, "must be text of at least three characters, the last two naming the child")
    frames, images = _visual(item.get("frames"), file, record, max_frames, width)
    return Video(
        id=name, title=item.get("title", ""), asr=item.get("asr", ""), ocr=tuple((float(line.get("time", 0)), line["text"]) for line in ocr),
        tags=None if tags is None else tuple(tags), category=category, part=str(item.get("part", default)), frames=frames, images=images,
    )  # fmt: skip


def _visual(name: str | None, file: Path, record: str, max_frames: int, width: int | None) -> tuple[np.ndarray | None, tuple[bytes, ...]]:
    if name is None:
        raise BadRecord(file, record, "frames", "missing", "give the path of an .npy, an image folder or a video file")
    path = file.parent / name
    if not path.exists():
        raise BadRecord(file, record, "frames", name, "no such file or folder beside the manifest")
    if path.suffix == ".npy":
        try:
            frames = np.load(path, allow_pickle=False)
        except (ValueError, EOFError, OSError) as error:
            raise BadRecord(path, record, "frames", str(error), "not a numpy array; write it again with numpy.save") from None
        check_frames(frames, path, record, "frames", max_frames, width)
        return frames.astype("<f2"), ()
    if path.is_dir():
        names = sorted(item for item in path.iterdir() if item.suffix.lower() in IMAGES)
        images = [item.read_bytes() for item in _evenly(names, max_frames)]
        if not images:
            raise BadRecord(path, record, "frames", 0, f"the folder holds no image ({', '.join(IMAGES)})")
        _check_images(images, path, record)
        return None, tuple(images)
    if path.suffix.lower() in MOVIES:
        return None, tuple(_decode(path, record, max_frames))
    raise BadRecord(file, record, "frames", name, f"must be .npy, a folder of images or a video ({', '.join(MOVIES)})")


def _check_images(images: list[bytes], path: Path, record: str) -> None:
    from PIL import Image, UnidentifiedImageError

    for number, data in enumerate(images):
        try:
            with Image.open(io.BytesIO(data)) as image:
                image.verify()
        except (UnidentifiedImageError, OSError, SyntaxError) as error:
            raise BadRecord(path, record, f"image {number}", str(error).split(" <")[0], "not a readable image; replace it") from None


def _evenly(items: list, most: int) -> list:
    return items if len(items) <= most else [items[int((i + 0.5) * len(items) / most)] for i in range(most)]


def _decode(path: Path, record: str, max_frames: int) -> list[bytes]:
    """One frame a second, at most ``max_frames`` evenly spread, as JPEG; a short clip gives its first frame."""
    import av
    from av.error import FFmpegError

    frames, due = [], 0.0
    try:
        with av.open(str(path)) as movie:
            for frame in movie.decode(video=0):
                time = frame.time if frame.time is not None else due
                if time >= due:
                    buffer = io.BytesIO()
                    frame.to_image().save(buffer, "JPEG", quality=90)
                    frames.append(buffer.getvalue())
                    due += 1.0
    except (FFmpegError, IndexError, ValueError) as error:
        raise BadRecord(path, record, "frames", str(error).split(":")[0], "not a readable video; encode it again") from None
    if not frames:
        raise BadRecord(path, record, "frames", 0, "no frame could be decoded; encode the video again")
    return _evenly(frames, max_frames)
