"""QQ Browser AIAC 2021 track 1 files into a store: TFRecords, label.tsv, tag_list.txt."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from lib.data.rejects import BadRecord, Rejects, check_frames
from lib.data.schema import Video
from lib.data.tfrecords import read_records
from lib.data.writer import StoreWriter

TRACK = "pairs"


def recognise(folder: Path) -> bool:
    return any(folder.glob("*/*.tfrecord*"))


def read(folder: Path, writer: StoreWriter, rejects: Rejects, *, max_frames: int) -> dict[str, Any]:
    """Import every ``<part>/*.tfrecord*``, then the pairs of ``pairwise/label.tsv``.

    Returns:
        what the manifest needs to know: the tag vocabulary, ascending (tags outside ``tag_list.txt`` are dropped by every system).

    Raises:
        BadRecord: the first bad record, unless ``rejects`` quarantines.
    """
    files = sorted(folder.glob("*/*.tfrecord*"))
    vocabulary = _tag_list(folder / "tag_list.txt", rejects)
    bar = tqdm(desc="import videos", unit="video")
    for file in files:
        for video, error in _videos(file, file.parent.name, max_frames, writer):
            if error is None:
                try:
                    writer.add(video, file)
                except BadRecord as duplicate:
                    error = duplicate
            if error is not None:
                rejects.add(error)
            bar.update()
    bar.close()
    for file in sorted(folder.glob("*/label.tsv")):
        _pairs(file, writer, rejects)
    return {"tags": vocabulary, "categories": None}


def _videos(file: Path, part: str, max_frames: int, writer: StoreWriter) -> Iterator[tuple[Video | None, BadRecord | None]]:
    try:
        for number, example in read_records(file):
            try:
                if isinstance(example, BadRecord):
                    raise example
                yield _video(example, file, f"record {number}", part, max_frames, writer.frame_dim), None
            except BadRecord as error:
                yield None, error
    except BadRecord as error:  # the framing broke: nothing more can be read from this file
        yield None, error


def _video(example: dict[str, list], file: Path, record: str, part: str, max_frames: int, width: int | None) -> Video:
    name = _text(example, "id", file, record)
    if not name.isdigit():
        raise BadRecord(file, record, "id", name, "an id is a decimal number as text")
    record = f"{record} (video {name})"
    labelled = not part.startswith("test")
    for key in ("title", "frame_feature", *(("tag_id",) if labelled else ())):
        if key not in example:
            raise BadRecord(file, record, key, "missing", "every record needs it; write the record again")
    raw = example["frame_feature"]
    sizes = {len(frame) for frame in raw}
    if any(size % 2 for size in sizes) or len(sizes) > 1:
        raise BadRecord(file, record, "frame_feature", f"frames of {sorted(sizes)} bytes", "all frames are float16 vectors of one width; write the record again")
    frames = np.frombuffer(b"".join(raw), dtype="<f2").reshape(len(raw), -1) if raw else np.zeros((0, width or 0), "<f2")
    check_frames(frames, file, record, "frame_feature", max_frames, width)
    tags = None
    if "tag_id" in example:
        tags = tuple(example["tag_id"])
        bad = [tag for tag in tags if not isinstance(tag, int) or tag < 0]
        if bad:
            raise BadRecord(file, record, "tag_id", bad[0], "a tag is a non-negative integer")
    category = None
    if example.get("category_id"):
        category = str(example["category_id"][0])
        if not category.isdigit() or len(category) != 5:
            raise BadRecord(file, record, "category_id", category, "a category has five digits, 1LLSS")
    return Video(id=name, title=_text(example, "title", file, record), asr=_text(example, "asr_text", file, record, default=""), tags=tags, category=category, part=part, frames=frames)


def _text(example: dict[str, list], key: str, file: Path, record: str, default: str | None = None) -> str:
    if key not in example and default is None:
        raise BadRecord(file, record, key, "missing", "every record needs it; write the record again")
    value = example.get(key) or [b""]
    try:
        return value[0].decode("utf-8")
    except (UnicodeDecodeError, AttributeError):
        raise BadRecord(file, record, key, value[0], "not valid UTF-8 text; convert the file to UTF-8") from None


def _tag_list(file: Path, rejects: Rejects) -> list[int]:
    if not file.exists():
        raise BadRecord(file, "file", "tag_list.txt", "missing", "the list of tags belongs beside the parts; one tag id a line")
    tags: set[int] = set()
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        if line.strip().isdigit():
            tags.add(int(line))
        elif line.strip():
            rejects.add(BadRecord(file, f"line {number}", "tag", line, "a tag is a non-negative integer"))
    return sorted(tags)


def _pairs(file: Path, writer: StoreWriter, rejects: Rejects) -> None:
    with file.open("rb") as lines:
        for number, raw in enumerate(tqdm(lines, desc="import pairs", unit="pair"), 1):
            record = f"line {number}"
            try:
                parts = raw.decode("utf-8", errors="replace").rstrip("\r\n").split("\t")
                if len(parts) != 3:
                    raise BadRecord(file, record, "line", raw, "a line is id1 <tab> id2 <tab> score")
                try:
                    score = float(parts[2])
                except ValueError:
                    raise BadRecord(file, record, "score", parts[2], "a similarity is a number in [0, 1]") from None
                writer.add_pair(parts[0], parts[1], score, file, record)
            except BadRecord as error:
                rejects.add(error)
