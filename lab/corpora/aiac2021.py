"""QQ Browser AIAC 2021 track 1 files into a store: TFRecords, label.tsv, tag_list.txt."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import BeforeValidator, Field
from tqdm.auto import tqdm

from lab.corpora.pair_files import read_pairs
from lab.corpora.reading import text_lines
from lab.corpora.records import TAGS, Record, Tag, checked
from lab.corpora.tfrecords import read_records
from lib.data.pixels import listed
from lib.data.rejects import BadRecord, Rejects, Wrong
from lib.data.schema import Video
from lib.data.writer import StoreWriter

FRAME_DIM = 1536
NAMES = re.compile(r"\.tfrecords?(-\d+-of-\d+)?$", re.I)  # the second part as TensorFlow numbers the shards of a file
FILES = re.compile(r"[^/]+/([^/]+\.tfrecords?(-\d+-of-\d+)?|label\.tsv)|tag_list\.txt", re.I)  # that are read
CATEGORY = "unknown category: a record has one, of five digits 1LLSS"


def _text(values: list) -> str:
    """The text of a key; empty where the key has no value."""
    value = values[0] if values else b""
    if not isinstance(value, bytes):
        raise Wrong("", value, "must be UTF-8 text; write the record again")
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError as error:
        around = value[max(0, error.start - 12) : error.end + 12]
        raise Wrong("", around, "not valid UTF-8 text; convert the file to UTF-8") from None


def _frames(raw: list) -> np.ndarray:
    """float16 [n, width]; trailing zeros of a frame belong to it."""
    if any(not isinstance(frame, bytes) for frame in raw):
        raise Wrong("", raw[0], "frames are byte strings of float16 numbers; write the record again")
    sizes = {len(frame) for frame in raw}
    if len(sizes) > 1 or any(size % 2 for size in sizes):
        remedy = "all frames are float16 vectors of one width; write the record again"
        raise Wrong("", f"frames of {sorted(sizes)} bytes", remedy)
    return np.frombuffer(b"".join(raw), dtype="<f2").reshape(len(raw), -1) if raw else np.zeros((0, 1), "<f2")


Text = Annotated[str, BeforeValidator(_text)]


class UnlabelledRecord(Record):
    """A video without labels."""

    id: Annotated[Text, Field(pattern="^[0-9]+$", description="an id is a decimal number as text")]
    title: Text
    asr_text: Text = ""  # which only one system reads
    frame_feature: Annotated[Any, BeforeValidator(_frames)]
    tag_id: list[Tag] | None = Field(None, description=TAGS)
    category_id: list[Annotated[int, Field(ge=10_000, le=99_999)]] | None = Field(
        None, min_length=1, max_length=1, description=CATEGORY
    )


class LabelledRecord(UnlabelledRecord):
    """A video whose tags are known; its category may be missing."""

    tag_id: list[Tag] = Field(description=TAGS)


def recognise(folder: Path) -> bool:
    """Whether a folder holds files of this format."""
    return bool(_files(folder))


def track(folder: Path) -> str:
    """Of a corpus in this format."""
    return "pairs"


def read(folder: Path, writer: StoreWriter, rejects: Rejects) -> dict[str, Any]:
    """Import every ``<part>/*.tfrecords``, then the pairs of ``<part>/label.tsv``. Returns what the manifest needs to
    know: the tag vocabulary and the categories that occur, ascending. Tags outside ``tag_list.txt`` are kept with the
    video and dropped when it is used, as every system does. Raises BadRecord: the first bad record, unless ``rejects``
    quarantines."""
    vocabulary = _tag_list(folder / "tag_list.txt", rejects)
    with tqdm(desc="import videos", unit="video", mininterval=0.5) as bar:
        for file in _files(folder):
            for record, example in _records(file, rejects):
                try:
                    writer.add(_video(example, file, record), file, record, frames_field="frame_feature")
                except BadRecord as error:
                    rejects.add(error)
                bar.update()
    for part in listed(folder):
        if (part / "label.tsv").exists():
            read_pairs(part / "label.tsv", writer, rejects)
    return {"tags": vocabulary, "categories": sorted(writer.categories)}


def _files(folder: Path) -> list[Path]:
    return [file for part in listed(folder) for file in listed(part) if NAMES.search(file.name)]


def _records(file: Path, rejects: Rejects) -> Iterator[tuple[str, dict[str, list]]]:
    """Records by name; a file whose framing breaks ends there."""
    try:
        for number, example in read_records(file):
            if isinstance(example, BadRecord):
                rejects.add(example)
                continue
            known = (example.get("id") or [b""])[0]
            name = known.decode("utf-8", "replace") if isinstance(known, bytes) else ""
            yield f"record {number} (video {name})" if name else f"record {number}", example
    except BadRecord as error:
        rejects.add(error)


def _video(example: dict[str, list], file: Path, record: str) -> Video:
    part = file.parent.name
    found = checked(UnlabelledRecord if part.startswith("test") else LabelledRecord, example, file, record)
    return Video(
        id=found.id,
        title=found.title,
        asr=found.asr_text,
        tags=None if found.tag_id is None else tuple(found.tag_id),
        category=None if found.category_id is None else str(found.category_id[0]),
        part=part,
        frames=found.frame_feature,
    )


def _tag_list(file: Path, rejects: Rejects) -> list[int]:
    if not file.exists():
        remedy = "the list of tags belongs beside the parts; one tag id a line"
        raise BadRecord(file, "file", "tag_list.txt", "missing", remedy)
    tags: set[int] = set()
    for number, line in text_lines(file):
        if line.strip().isdecimal() and len(line.strip()) < 19:
            tags.add(int(line))
        else:
            remedy = "unknown tag: a tag is a non-negative integer below 10^18"
            rejects.add(BadRecord(file, f"line {number}", "tag", line.strip(), remedy))
    return sorted(tags)
