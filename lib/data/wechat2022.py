"""WeChat Big Data Challenge 2022 files into a store: annotations, zipped features and zipped frames.

Preliminary form: ``zip_feats/<set>.zip`` of ``<id>.npy`` [n, 768] float16. Semi-final form:
``zip_frames/<set>/<last 3 characters of id>/<id>.zip`` of JPEG frames, in order of their names. Either or both.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from lib.data.rejects import BadRecord, Rejects, check_frames
from lib.data.schema import Video
from lib.data.vocabulary import WECHAT_CATEGORIES
from lib.data.writer import StoreWriter

TRACK = "classes"
BLOCK = 1 << 20  # characters of an annotation file held at a time
MAGIC = {b"\xff\xd8\xff": "JPEG", b"\x89PNG": "PNG"}


def recognise(folder: Path) -> bool:
    return any(folder.glob("annotations/*.json"))


def read(folder: Path, writer: StoreWriter, rejects: Rejects, *, max_frames: int) -> dict[str, Any]:
    """Import every set that has annotations; ``test.json`` is skipped where ``test_a.json`` lists the same videos.

    Raises:
        BadRecord: the first bad record, unless ``rejects`` quarantines.
    """
    files = {file.stem: file for file in sorted(folder.glob("annotations/*.json"))}
    if "test" in files and "test_a" in files and files["test"].read_bytes() == files["test_a"].read_bytes():
        del files["test"]  # the semi-final's name for the same set
    for part, file in files.items():
        source = _Visual(folder, part, max_frames)
        try:
            for number, record in tqdm(_records(file), desc=f"import {part}", unit="video"):
                try:
                    writer.add(_video(record, number, file, part, source, writer.frame_dim), file)
                except BadRecord as error:
                    rejects.add(error)
        except BadRecord as error:  # the array itself is broken: nothing after this point can be found
            rejects.add(error)
        finally:
            source.close()
    return {"tags": None, "categories": list(WECHAT_CATEGORIES)}


def _records(file: Path) -> Iterator[tuple[int, Any]]:
    """Objects of a JSON array of any length, a block of text at a time."""
    decoder, text, number, begun = json.JSONDecoder(), "", 0, False
    with file.open("rb") as stream:
        pending = b""
        while True:
            block = stream.read(BLOCK)
            pending += block
            try:
                text, pending = text + pending.decode("utf-8"), b""
            except UnicodeDecodeError as error:
                if error.end - error.start > 3 or len(pending) - error.start > 3 or not block:
                    raise BadRecord(file, f"record {number}", "text", pending[error.start : error.start + 4], "not valid UTF-8; convert the file to UTF-8") from None
                text, pending = text + pending[: error.start].decode("utf-8"), pending[error.start :]
            while True:
                text = text.lstrip(", \t\r\n") if begun else text.lstrip()
                if not begun and text:
                    if text[0] != "[":
                        raise BadRecord(file, "file", "content", text[:20], "annotations are one JSON array of objects")
                    begun, text = True, text[1:]
                    continue
                if not text:
                    break
                if text[0] == "]":
                    return
                try:
                    value, end = decoder.raw_decode(text)
                except json.JSONDecodeError as error:
                    if block:
                        break  # perhaps just cut by the block's end
                    raise BadRecord(file, f"record {number}", "JSON", text[:40], f"{error.msg}; the file is damaged or truncated") from None
                text = text[end:]
                yield number, value
                number += 1
            if not block:
                raise BadRecord(file, f"record {number}", "JSON", "end of file", "the array is not closed; the file is truncated")


def _video(item: Any, number: int, file: Path, part: str, source: _Visual, width: int | None) -> Video:
    record = f"record {number}"
    if not isinstance(item, dict):
        raise BadRecord(file, record, "record", item, "every element is an object")
    required = ["id", "title", "asr", "ocr", *(["category_id"] if part == "labeled" else [])]
    for key in required:
        if key not in item:
            raise BadRecord(file, record, key, "missing", "every record needs it; write the annotations again")
    name = str(item["id"])
    record = f"{record} (video {name})"
    for key in ("title", "asr"):
        if not isinstance(item[key], str):
            raise BadRecord(file, record, key, item[key], "must be text, empty where there is none")
    if not isinstance(item["ocr"], list) or any(not isinstance(line, dict) or not isinstance(line.get("text"), str) for line in item["ocr"]):
        raise BadRecord(file, record, "ocr", item["ocr"], "must be a list of {time, text}")
    category = item.get("category_id")
    if category is not None and category not in WECHAT_CATEGORIES:
        raise BadRecord(file, record, "category_id", category, "not one of the 200 official categories; keep it as text with its leading zeros")
    frames, images = source.read(name, record, width)
    ocr = tuple((float(line.get("time", 0)), line["text"]) for line in item["ocr"])
    return Video(id=name, title=item["title"], asr=item["asr"], ocr=ocr, category=category, part=part, frames=frames, images=images)


class _Visual:
    """Features and images of one set, by video id."""

    def __init__(self, folder: Path, part: str, max_frames: int):
        self.max_frames = max_frames
        features = folder / "zip_feats" / f"{part}.zip"
        self.features_file = features
        self.features = None
        if features.exists():
            try:
                self.features = zipfile.ZipFile(features)
            except zipfile.BadZipFile as error:
                raise BadRecord(features, "file", "zip", str(error), "the archive is damaged; copy it again from its source") from None
        names = (part, "test") if part == "test_a" else (part,)
        self.frames = next((folder / "zip_frames" / name for name in names if (folder / "zip_frames" / name).is_dir()), None)
        if self.features is None and self.frames is None:
            raise BadRecord(features, "file", "zip", "missing", f"no features and no frames for the set {part}; put zip_feats/{part}.zip or zip_frames/{part}/ beside annotations/")

    def read(self, name: str, record: str, width: int | None) -> tuple[np.ndarray | None, tuple[bytes, ...]]:
        return self._features(name, record, width), self._images(name, record)

    def _features(self, name: str, record: str, width: int | None) -> np.ndarray | None:
        if self.features is None:
            return None
        try:
            raw = self.features.read(f"{name}.npy")
        except KeyError:
            raise BadRecord(self.features_file, record, "member", f"{name}.npy", "missing from the archive; extract the features of this video") from None
        except zipfile.BadZipFile as error:
            raise BadRecord(self.features_file, record, "member", str(error), "the archive is damaged; copy it again from its source") from None
        try:
            frames = np.load(io.BytesIO(raw), allow_pickle=False)
        except (ValueError, EOFError, OSError) as error:
            raise BadRecord(self.features_file, record, f"{name}.npy", str(error), "not a numpy array; extract the features again") from None
        check_frames(frames, self.features_file, record, f"{name}.npy", self.max_frames, width)
        return frames.astype("<f2")

    def _images(self, name: str, record: str) -> tuple[bytes, ...]:
        if self.frames is None:
            return ()
        file = self.frames / name[-3:] / f"{name}.zip"
        if not file.exists():
            raise BadRecord(file, record, "file", "missing", "the video has no frames; extract them or drop the record")
        try:
            with zipfile.ZipFile(file) as archive:
                images = [(member, archive.read(member)) for member in sorted(archive.namelist()) if not member.endswith("/")]
        except zipfile.BadZipFile as error:
            raise BadRecord(file, record, "zip", str(error), "the archive is damaged; copy it again from its source") from None
        if not images:
            raise BadRecord(file, record, "frames", 0, "a video needs at least one frame")
        for member, data in images:
            if not any(data.startswith(magic) for magic in MAGIC):
                raise BadRecord(file, record, member, data[:8], "not a JPEG or PNG image; extract the frames again")
        return tuple(data for _, data in images[: self.max_frames])

    def close(self) -> None:
        if self.features is not None:
            self.features.close()
