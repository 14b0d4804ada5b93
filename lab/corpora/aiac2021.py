"""QQ Browser AIAC 2021 track 1 files into a store: TFRecords, label.tsv, tag_list.txt."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from lab.corpora.pair_files import read_pairs
from lab.corpora.tfrecords import read_records
from lab.corpora.writer import StoreWriter
from lib.data.checks import Wrong
from lib.data.rejects import BadRecord, Rejects
from lib.data.schema import Video

FRAME_DIM = 1536
REMEDY = "every record needs it; write the record again"


def recognise(folder: Path) -> bool:
    return bool(_files(folder))


def track(folder: Path) -> str:
    return "pairs"


def read(folder: Path, writer: StoreWriter, rejects: Rejects) -> dict[str, Any]:
    """Import every ``<part>/*.tfrecords``, then the pairs of ``<part>/label.tsv``.

    Returns:
        what the manifest needs to know: the tag vocabulary and the categories that occur, ascending. Tags outside
        ``tag_list.txt`` are kept with the video and dropped when it is used, as every system does.

    Raises:
        BadRecord: the first bad record, unless ``rejects`` quarantines.
    """
    vocabulary = _tag_list(folder / "tag_list.txt", rejects)
    with tqdm(desc="import videos", unit="video", mininterval=0.5) as bar:
        for file in _files(folder):
            for record, read_one in _records(file, rejects):
                try:
                    writer.add(read_one(), file, record, frames_field="frame_feature")
                except Wrong as wrong:
                    rejects.add(wrong.at(file, record))
                except BadRecord as error:
                    rejects.add(error)
                bar.update()
    for file in sorted(folder.glob("*/label.tsv")):
        read_pairs(file, writer, rejects)
    return {"tags": vocabulary, "categories": sorted(writer.categories)}


def _files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.glob("*/*.tfrecord*") if file.suffix in (".tfrecord", ".tfrecords"))


def _records(file: Path, rejects: Rejects) -> Iterator[tuple[str, Any]]:
    """Record names, each with a function that makes its Video; a file whose framing breaks ends there."""
    part = file.parent.name
    try:
        for number, example in read_records(file):
            if isinstance(example, BadRecord):
                rejects.add(example)
                continue
            yield _name(number, example), lambda example=example: _video(example, part)
    except BadRecord as error:
        rejects.add(error)


def _name(number: int, example: dict[str, list]) -> str:
    known = example.get("id") or [b""]
    name = known[0].decode("utf-8", "replace") if isinstance(known[0], bytes) else ""
    return f"record {number} (video {name})" if name else f"record {number}"


def _video(example: dict[str, list], part: str) -> Video:
    labelled = not part.startswith("test")
    for key in ("id", "title", "frame_feature", *(("tag_id",) if labelled else ())):
        if key not in example:
            raise Wrong(key, "missing", REMEDY)
    name = _text(example, "id")
    if not (name.isascii() and name.isdigit()):
        raise Wrong("id", name, "an id is a decimal number as text")
    tags = tuple(_integers(example, "tag_id")) if "tag_id" in example else None
    category = None
    if "category_id" in example:
        numbers = _integers(example, "category_id")
        if len(numbers) != 1 or len(str(numbers[0])) != 5:
            raise Wrong("category_id", numbers, "unknown category: a record has one, of five digits 1LLSS")
        category = str(numbers[0])
    return Video(
        id=name,
        title=_text(example, "title"),
        asr=_text(example, "asr_text"),
        tags=tags,
        category=category,
        part=part,
        frames=_frames(example["frame_feature"]),
    )


def _frames(raw: list) -> np.ndarray:
    """float16 [n, width]; trailing zeros of a frame belong to it."""
    if any(not isinstance(frame, bytes) for frame in raw):
        raise Wrong("frame_feature", raw[0], "frames are byte strings of float16 numbers; write the record again")
    sizes = {len(frame) for frame in raw}
    if len(sizes) > 1 or any(size % 2 for size in sizes):
        raise Wrong(
            "frame_feature",
            f"frames of {sorted(sizes)} bytes",
            "all frames are float16 vectors of one width; write the record again",
        )
    return np.frombuffer(b"".join(raw), dtype="<f2").reshape(len(raw), -1) if raw else np.zeros((0, 1), "<f2")


def _text(example: dict[str, list], key: str) -> str:
    """The text of a key; empty where the key has no value (asr_text, which only one system reads, may even be absent)."""
    value = (example.get(key) or [b""])[0]
    if not isinstance(value, bytes):
        raise Wrong(key, value, "must be UTF-8 text; write the record again")
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Wrong(
            key, value[max(0, error.start - 12) : error.end + 12], "not valid UTF-8 text; convert the file to UTF-8"
        ) from None


def _integers(example: dict[str, list], key: str) -> list[int]:
    for number in example[key]:
        if not isinstance(number, int) or number < 0:
            raise Wrong(key, number, "unknown: tags and categories are non-negative integers")
    return example[key]


def _tag_list(file: Path, rejects: Rejects) -> list[int]:
    if not file.exists():
        raise BadRecord(
            file, "file", "tag_list.txt", "missing", "the list of tags belongs beside the parts; one tag id a line"
        )
    tags: set[int] = set()
    with file.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if line.strip().isdigit():
                tags.add(int(line))
            elif line.strip():
                rejects.add(
                    BadRecord(
                        file, f"line {number}", "tag", line.strip(), "unknown tag: a tag is a non-negative integer"
                    )
                )
    return sorted(tags)
