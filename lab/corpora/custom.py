"""Your own videos into a store: a manifest (JSONL or Parquet) plus .npy features, image folders or video files.

``manifest.jsonl`` (one object a line) or ``manifest.parquet``, with any of

    id         text or number; default: the number of the record, from 0
    title      text
    asr        text (speech)
    ocr        text, or a list of {time, text} (what can be read in the picture)
    tags       list of non-negative integers; leave it out where they are unknown
    category   text; level 1 is what stands before a "/", or all but the last two digits of a number
    part       text; default "pairwise" where there are pairs, else "labeled"
    frames     path beside the manifest: .npy [n, D], a folder of images, or a video (.mp4 and others, one frame a second)
    pairs      list of [id of the other video, score in [0, 1]]

Pairs can also stand in ``pairs.tsv`` (id1, id2, score), ``pairs.jsonl`` or ``pairs.parquet`` beside it. A ``vocabulary.json``
with ``tags`` or ``categories`` (lists) declares which of them are allowed; without it, those that occur are.
"""

from __future__ import annotations

import difflib
import json
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from tqdm.auto import tqdm

from lab.corpora import pixels
from lab.corpora.pair_files import read_pairs
from lab.corpora.wechat2022 import read_ocr
from lab.corpora.writer import StoreWriter
from lib.data import checks
from lib.data.checks import Wrong
from lib.data.rejects import BadRecord, Rejects
from lib.data.schema import Video

FRAME_DIM = None  # of the first video
KEYS = ("id", "title", "asr", "ocr", "tags", "category", "part", "frames", "pairs")
PEEK = 1000  # records looked at to tell whether the manifest itself has pairs


def recognise(folder: Path) -> bool:
    return _manifest(folder) is not None


def track(folder: Path) -> str:
    """pairs if there is a pairs file or a record with pairs among the first thousand, else classes."""
    file = _manifest(folder)
    if file is None or _pair_files(file):
        return "pairs" if file else "classes"
    if file.suffix == ".parquet":
        return "pairs" if "pairs" in _parquet(file).schema_arrow.names else "classes"
    with file.open("rb") as lines:
        return "pairs" if any(b'"pairs"' in line for line in islice(lines, PEEK)) else "classes"


def read(folder: Path, writer: StoreWriter, rejects: Rejects) -> dict[str, Any]:
    """Import the manifest, then its pairs; pixels are stored as images, at most ``writer.max_frames`` evenly spread.

    Args:
        folder: the folder of the manifest, or the manifest itself.

    Raises:
        BadRecord: the first bad record, unless ``rejects`` quarantines.
    """
    file = _manifest(folder)
    if file is None:
        raise BadRecord(folder, "folder", "manifest", "missing", "put manifest.jsonl or manifest.parquet there")
    declared = _vocabulary(file.parent / "vocabulary.json")
    allowed = {key: frozenset(values) for key, values in declared.items()}
    default = "pairwise" if writer.track == "pairs" else "labeled"
    tags: set[int] = set()
    with tempfile.TemporaryFile("w+", encoding="utf-8") as inner:  # pairs wait here until all videos are known
        for record, item in tqdm(_records(file, rejects), desc="import videos", unit="video", mininterval=0.5):
            try:
                try:
                    if isinstance(item.get("id"), (str, int)):
                        record = f"{record} (video {item['id']})"
                    video = _video(item, file.parent, default, writer.max_frames, allowed)
                except Wrong as wrong:
                    raise wrong.at(file, record) from None
                writer.add(video, file, record)
                tags.update(video.tags or ())
                for pair in _inner_pairs(item.get("pairs"), file, record, rejects):
                    inner.write(json.dumps([video.id, *pair, record]) + "\n")
            except BadRecord as error:
                rejects.add(error)
        inner.seek(0)
        for line in inner:
            id1, id2, score, record = json.loads(line)
            try:
                writer.add_pair(id1, id2, score, file, f"{record}, pairs")
            except BadRecord as error:
                rejects.add(error)
    for pairs in _pair_files(file):
        read_pairs(pairs, writer, rejects)
    return {
        "tags": declared.get("tags", sorted(tags)) or None,
        "categories": declared.get("categories", sorted(writer.categories)) or None,
    }


def _manifest(folder: Path) -> Path | None:
    if folder.is_file() and folder.suffix in (".jsonl", ".parquet"):
        return folder
    return next((folder / name for name in ("manifest.jsonl", "manifest.parquet") if (folder / name).exists()), None)


def _pair_files(manifest: Path) -> list[Path]:
    return [
        file
        for suffix in (".tsv", ".jsonl", ".parquet")
        if (file := manifest.parent / f"pairs{suffix}").exists() and file != manifest
    ]


def _vocabulary(file: Path) -> dict[str, list]:
    if not file.exists():
        return {}
    try:
        declared = json.loads(file.read_text(encoding="utf-8"))
        unknown = set(declared) - {"tags", "categories"}
        if unknown:
            raise BadRecord(
                file,
                "file",
                sorted(unknown)[0],
                declared[sorted(unknown)[0]],
                "unknown key; declare tags, categories or both",
            )
        return {
            key: sorted({int(value) if key == "tags" else str(value) for value in values})
            for key, values in declared.items()
        }
    except (ValueError, TypeError) as error:
        if isinstance(error, BadRecord):
            raise
        raise BadRecord(
            file,
            "file",
            "content",
            str(error),
            "must be an object with the lists tags (integers) and categories (text)",
        ) from None


def _parquet(file: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(file)
    except (OSError, ValueError) as error:
        raise BadRecord(file, "file", "content", str(error), "not a Parquet file; write it again") from None


def _records(file: Path, rejects: Rejects) -> Iterator[tuple[str, dict]]:
    if file.suffix == ".parquet":
        number = 0
        for batch in _parquet(file).iter_batches(1024):
            for item in batch.to_pylist():
                yield f"row {number}", {"id": number} | {key: value for key, value in item.items() if value is not None}
                number += 1
        return
    with file.open("rb") as lines:
        for number, line in enumerate(lines):
            record = f"line {number + 1}"
            try:
                item = json.loads(line.decode("utf-8", "surrogateescape"))
                if isinstance(item, dict):
                    yield record, {"id": number} | item
                else:
                    rejects.add(BadRecord(file, record, "record", item, "every line is one JSON object"))
            except (json.JSONDecodeError, RecursionError) as error:
                rejects.add(BadRecord(file, record, "JSON", line[:40], f"{error}; every line is one JSON object"))


def _video(item: dict, folder: Path, default: str, most: int, allowed: dict[str, frozenset]) -> Video:
    for key in item:
        if key not in KEYS:
            close = difflib.get_close_matches(key, KEYS, 1)
            raise Wrong(
                key,
                item[key],
                f"unknown key; did you mean {close[0]!r}?" if close else f"unknown key; a record has {', '.join(KEYS)}",
            )
    name = item["id"]
    if isinstance(name, bool) or not isinstance(name, (str, int)):
        raise Wrong("id", name, "an id is text or a whole number")
    frames, images = _frames(item.get("frames"), folder, most)
    ocr = item.get("ocr", ())
    return Video(
        id=str(name), title=checks.text(item.get("title", ""), "title"), asr=checks.text(item.get("asr", ""), "asr"),
        ocr=read_ocr(([{"text": ocr}] if ocr else []) if isinstance(ocr, str) else ocr), tags=_tags(item.get("tags"), allowed.get("tags")),
        category=_category(item.get("category"), allowed.get("categories")), part=checks.text(item.get("part", default), "part"), frames=frames, images=images,
    )  # fmt: skip


def _tags(tags: Any, allowed: frozenset | None) -> tuple[int, ...] | None:
    if tags is None:
        return None
    if not isinstance(tags, (list, tuple)):
        raise Wrong("tags", tags, "must be a list of non-negative integers")
    for tag in tags:
        if isinstance(tag, bool) or not isinstance(tag, int) or not 0 <= tag < 1 << 63:
            raise Wrong("tags", tag, "unknown tag: a tag is a non-negative integer")
        if allowed is not None and tag not in allowed:
            raise Wrong("tags", tag, "unknown tag: vocabulary.json does not list it")
    return tuple(tags)


def _category(category: Any, allowed: frozenset | None) -> str | None:
    if category is None:
        return None
    if not isinstance(category, str) or not category:
        raise Wrong("category", category, 'unknown category: it is text, such as "0105" or "animals/cat"')
    if allowed is not None and category not in allowed:
        close = difflib.get_close_matches(category, allowed, 1)
        raise Wrong(
            "category",
            category,
            "unknown category: vocabulary.json does not list it" + (f"; did you mean {close[0]!r}?" if close else ""),
        )
    return checks.text(category, "category")


def _frames(name: Any, folder: Path, most: int) -> tuple[np.ndarray | None, tuple[bytes, ...]]:
    if not isinstance(name, str) or not name:
        raise Wrong(
            "frames",
            "missing" if name is None else name,
            "give the path of an .npy, an image folder or a video file, relative to the manifest",
        )
    path = folder / checks.text(name, "frames")
    if not path.exists():
        raise Wrong("frames", name, "no such file or folder beside the manifest")
    if path.suffix == ".npy":
        try:
            return np.load(path, allow_pickle=False), ()
        except (ValueError, EOFError, OSError) as error:
            raise Wrong("frames", f"{name} ({error})", "not a numpy array; write it again with numpy.save") from None
    if path.is_dir():
        return None, pixels.from_folder(path, most)
    if path.suffix.lower() in pixels.MOVIES:
        return None, pixels.from_movie(path, most)
    raise Wrong("frames", name, f"must be .npy, a folder of images or a video ({', '.join(pixels.MOVIES)})")


def _inner_pairs(pairs: Any, file: Path, record: str, rejects: Rejects) -> Iterator[tuple[str, float]]:
    for pair in pairs if isinstance(pairs, (list, tuple)) else [] if pairs is None else [pairs]:
        if isinstance(pair, dict) and set(pair) == {"id", "score"}:
            pair = (pair["id"], pair["score"])
        if isinstance(pair, (list, tuple)) and len(pair) == 2:
            yield str(pair[0]), pair[1]
        else:
            rejects.add(BadRecord(file, record, "pairs", pair, "a pair is [id of the other video, score]"))
