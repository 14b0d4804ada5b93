"""Your own videos into a store: a manifest (JSONL, CSV or Parquet) plus .npy features, image folders or video files.

``manifest.jsonl`` (one object a line), ``manifest.parquet`` or ``manifest.csv`` (names in the first line, tags as in 3 14,
without pairs), with any of these, where null or empty is as good as left out

    id         text or number; default: the number of the record, from 0
    title      text
    asr        text (speech)
    ocr        text, or a list of {time, text} (what can be read in the picture)
    tags       list of non-negative integers; leave it out where they are unknown
    category   text; level 1 is what stands before a "/", or all but the last two digits of a number
    part       text; default "pairwise" where there are pairs, else "labeled". A part whose name begins with "test" trains
               nothing; where it has labels, or pairs of two of its videos, systems are scored on it
    frames     path beside the manifest: .npy [n, D], a folder of images, or a video (.mp4 and others, one frame a second)
    pairs      list of [id of the other video, score in [0, 1]]

Pairs can also stand in ``pairs.tsv`` (id1, id2, score), or ``pairs.csv``, ``.jsonl`` or ``.parquet`` beside it. A ``vocabulary.json``
with ``tags`` or ``categories`` (lists) declares which of them are allowed; without it, those that occur are.

A folder without a manifest holds videos and folders of them: a video's id is its path there, its title the name of the file
(of a folder of pictures: of the folder), its category the folder that it lies in.
"""

import difflib
import json
import os
import re
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import BeforeValidator, ConfigDict, Field
from tqdm.auto import tqdm

from lab.corpora.csv_files import csv_records
from lab.corpora.inside import Inside
from lab.corpora.pair_files import Pair, as_number, read_pairs
from lab.corpora.reading import objects, parquet, read_json
from lab.corpora.records import TAGS, Id, Ocr, Record, Tag, Text, checked, named, screen_texts
from lib.data import pixels
from lib.data.rejects import BadRecord, Rejects, Wrong, instead
from lib.data.schema import Video
from lib.data.writer import StoreWriter

FRAME_DIM = None  # of the first video
KINDS = "|".join(re.escape(suffix) for suffix in (*pixels.IMAGES, *pixels.MOVIES, ".npy"))
FILES = re.compile(
    rf"(manifest|pairs)\.(jsonl|parquet|csv)|pairs\.tsv|vocabulary\.json|.*({KINDS})", re.I
)  # that are read
SUFFIXES = (".jsonl", ".parquet", ".csv")  # of a manifest
PEEK = 1000  # records looked at to tell whether the manifest itself has pairs
MEANT = {  # what others call a key
    other: key
    for key, others in {
        "frames": "video file filename path clip image images mp4", "category": "label class category_id topic", "part": "split set fold",
        "title": "name text caption description", "tags": "hashtags keywords", "asr": "speech transcript", "id": "video_id vid",
    }.items()
    for other in (key, *others.split())
}  # fmt: skip
CATEGORY = 'unknown category: it is text, such as "0105" or "animals/cat"'
FRAMES = "give the path of an .npy, an image folder or a video file, relative to the manifest"
VOCABULARY = "must be an object with the lists tags (integers) and categories (text)"


def _lines(value: object) -> object:
    """Text on screen given as one text is a single line without a time."""
    return ([{"text": value}] if value else []) if isinstance(value, str) else value


class ManifestRecord(Record):
    """A line or row of the manifest."""

    model_config = ConfigDict(extra="forbid")
    missing = FRAMES
    id: Id
    title: Text = ""
    asr: Text = ""
    ocr: Annotated[Ocr, BeforeValidator(_lines)] = []
    tags: list[Tag] | None = Field(None, description=TAGS)
    category: Text | None = Field(None, min_length=1, description=CATEGORY)
    part: Text | None = None
    frames: Text = Field(min_length=1, description=FRAMES)
    pairs: Any = None


class Vocabulary(Record):
    """The tags and categories that are allowed; those that occur where a list is missing."""

    model_config = ConfigDict(extra="forbid")
    tags: list[Tag] | None = Field(default=None, description=VOCABULARY)
    categories: list[Text] | None = Field(default=None, description=VOCABULARY)

    def check(self, record: ManifestRecord) -> None:
        """Raises Wrong: a tag or category that is not declared."""
        remedy = "vocabulary.json does not list it"
        tags, listed, given = self.tags, self.categories, record.category
        for tag in record.tags or ():
            if tags is not None and tag not in tags:
                raise Wrong("tags", tag, f"unknown tag: {remedy}")
        if listed is not None and given is not None and given not in listed:
            close = difflib.get_close_matches(given, listed, 1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise Wrong("category", given, f"unknown category: {remedy}{hint}")


def recognise(folder: Path) -> bool:
    """Whether a folder holds a manifest, or videos."""
    return _manifest(folder) is not None or (folder.is_dir() and pixels.clips(folder)[0] not in ([], [folder]))


def told(folder: Path) -> str:
    """What a folder without manifest is taken for, and which of its files are left aside; empty for one with a manifest."""
    if _manifest(folder) is not None or not folder.is_dir():
        return ""
    videos, others = pixels.clips(folder)
    categories = {category for video in videos if (category := _category(video, folder))}
    folders = "1 folder as category" if len(categories) == 1 else f"{len(categories)} folders as categories"
    by_folder = folders if categories else "no folders, so no categories"
    names = ", ".join(str(other.relative_to(folder)) for other in others[:3]) + (" ..." if len(others) > 3 else "")
    none = "1 file that is no video" if len(others) == 1 else f"{len(others)} files that are no videos"
    aside = f"; {none} left aside ({names})" if others else ""
    found = "1 video" if len(videos) == 1 else f"{len(videos)} videos"
    return f"no manifest there: {found}, file names as titles, {by_folder}{aside}"


def track(folder: Path) -> str:
    """pairs if there is a pairs file or a record with pairs among the first thousand, else classes."""
    file = _manifest(folder)
    if _pair_files(file or folder):
        return "pairs"
    if file is None:
        return "classes"
    if file.suffix == ".parquet":
        return "pairs" if "pairs" in parquet(file).schema_arrow.names else "classes"
    with file.open("rb") as lines:
        return "pairs" if any(b'"pairs"' in line for line in islice(lines, PEEK)) else "classes"


def read(folder: Path, writer: StoreWriter, rejects: Rejects, inside: Inside | None = None) -> dict[str, Any]:
    """Import the manifest, then its pairs; pixels are stored as images, at most ``writer.max_frames`` evenly spread.
    ``folder``: the folder of the manifest, or the manifest itself. ``inside``: what looks for texts that a record lacks.
    Raises BadRecord: the first bad record, unless ``rejects`` quarantines."""
    manifest = _manifest(folder)
    file = folder if manifest is None else manifest
    home = folder if manifest is None else manifest.parent
    given = _in_csv if file.suffix == ".csv" else objects
    records = _in_folders(folder) if manifest is None else given(manifest, rejects)
    declared = _vocabulary(home / "vocabulary.json")
    tags: set[int] = set()
    with tempfile.TemporaryFile("w+", encoding="utf-8") as inner:  # pairs wait here until all videos are known
        for number, record, item in tqdm(records, desc="import videos", unit="video", mininterval=0.5):
            record = named(record, item)
            try:
                for key in item:
                    if key not in ManifestRecord.model_fields and (meant := MEANT.get(key.lower())):
                        raise BadRecord(file, record, key, item[key], f"unknown key; did you mean {meant!r}?")
                found = checked(
                    ManifestRecord, item if item.get("id") is not None else item | {"id": number}, file, record
                )
                try:
                    declared.check(found)
                    video = _video(found, home, writer, inside)
                except Wrong as wrong:
                    raise wrong.at(file, record) from None
                except OSError as error:
                    remedy = "make the file readable, or drop the record"
                    raise BadRecord(file, record, "frames", f"{found.frames} ({error.strerror})", remedy) from None
                writer.add(video, file, record)
                tags.update(video.tags or ())
                for pair in _inner_pairs(found, file, f"{record}, pairs", rejects):
                    inner.write(json.dumps([pair.id1, pair.id2, pair.score, f"{record}, pairs"]) + "\n")
            except BadRecord as error:
                rejects.add(error)
        inner.seek(0)
        for line in inner:
            id1, id2, score, record = json.loads(line)
            try:
                writer.add_pair(id1, id2, score, file, record)
            except BadRecord as error:
                rejects.add(error)
    for pairs in _pair_files(file):
        (_csv_pairs if pairs.suffix == ".csv" else read_pairs)(pairs, writer, rejects)
    categories = writer.categories if declared.categories is None else declared.categories
    return {
        "tags": sorted(set(tags if declared.tags is None else declared.tags)) or None,
        "categories": sorted(set(categories)) or None,
    }


def _manifest(folder: Path) -> Path | None:
    if folder.is_file() and folder.suffix in SUFFIXES:
        return folder
    found = [file for suffix in SUFFIXES if (file := folder / f"manifest{suffix}").exists()]
    if len(found) > 1:
        names = " and ".join(file.name for file in found)
        raise BadRecord(folder, "folder", "manifest", names, "keep one of them, or give its path")
    return found[0] if found else None


def _pair_files(source: Path) -> list[Path]:
    folder = source if source.is_dir() else source.parent
    files = [folder / f"pairs{suffix}" for suffix in (".tsv", *SUFFIXES)]
    return [file for file in files if file.exists() and file != source]


def _in_csv(file: Path, rejects: Rejects) -> Iterator[tuple[int, str, dict[str, Any]]]:
    for number, record, item in csv_records(file, rejects):
        tags = re.split(r"[\s;,|]+", item["tags"].strip()) if item.get("tags") else None
        yield number, record, item | {"tags": tags and [int(tag) if tag.isdecimal() else tag for tag in tags]}


def _csv_pairs(file: Path, writer: StoreWriter, rejects: Rejects) -> None:
    for _, record, item in csv_records(file, rejects, ("id1", "id2", "score")):
        item["score"] = None if item["score"] is None else as_number(item["score"].replace(",", "."))
        try:
            pair = checked(Pair, item, file, record)
            writer.add_pair(pair.id1, pair.id2, pair.score, file, record)
        except BadRecord as error:
            rejects.add(error)


def _in_folders(folder: Path) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """The records that a manifest of the videos would have."""
    for number, video in enumerate(pixels.clips(folder)[0]):
        name = video.relative_to(folder).as_posix()
        item = {"id": name, "title": pixels.title_of(video), "category": _category(video, folder), "frames": name}
        yield number, f"video {number}", item


def _category(video: Path, folder: Path) -> str | None:
    return None if (name := video.parent.relative_to(folder).as_posix()) == "." else name


def _vocabulary(file: Path) -> Vocabulary:
    return checked(Vocabulary, read_json(file), file, "file") if file.exists() else Vocabulary()


def _video(record: ManifestRecord, folder: Path, writer: StoreWriter, inside: Inside | None) -> Video:
    path, frames, images = _frames(record.frames, folder, writer.max_frames)
    texts: dict[str, Any] = {} if inside is None or not images else inside(path, images)
    return Video(
        id=record.id,
        title=record.title,
        asr=record.asr or texts.get("asr", ""),
        ocr=screen_texts(record.ocr) or texts.get("ocr", ()),
        tags=None if record.tags is None else tuple(record.tags),
        category=record.category,
        part=record.part if record.part is not None else "pairwise" if writer.track == "pairs" else "labeled",
        frames=frames,
        images=images,
    )


def _frames(name: str, folder: Path, most: int) -> tuple[Path, np.ndarray | None, tuple[bytes, ...]]:
    ways = (name, os.path.expanduser(name), name.replace("\\", "/"))  # as it is, from home, as Windows writes it
    path = next((path for way in ways if (path := folder / way).exists()), None)
    if path is None:
        raise Wrong("frames", name, "no such file or folder beside the manifest")
    if path.suffix == ".npy":
        try:
            return path, np.load(path, allow_pickle=False), ()
        except (ValueError, EOFError, OSError, MemoryError) as error:
            remedy = instead(path, "not a numpy array; write it again with numpy.save")
            raise Wrong("frames", f"{name} ({error})", remedy) from None
    if path.is_dir():
        return path, None, pixels.from_folder(path, most)
    if path.suffix.lower() in pixels.MOVIES:
        return path, None, pixels.from_movie(path, most)
    raise Wrong("frames", name, f"must be .npy, a folder of images or a video ({', '.join(pixels.MOVIES)})")


def _inner_pairs(video: ManifestRecord, file: Path, record: str, rejects: Rejects) -> Iterator[Pair]:
    for pair in video.pairs if isinstance(video.pairs, list) else [] if video.pairs is None else [video.pairs]:
        if isinstance(pair, dict) and set(pair) == {"id", "score"}:
            pair = [pair["id"], pair["score"]]
        try:
            if not isinstance(pair, list) or len(pair) != 2:
                raise BadRecord(file, record, "pairs", pair, "a pair is [id of the other video, score]")
            yield checked(Pair, {"id1": video.id, "id2": pair[0], "score": pair[1]}, file, record)
        except BadRecord as error:
            rejects.add(error)
