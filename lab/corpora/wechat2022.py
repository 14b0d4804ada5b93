"""WeChat Big Data Challenge 2022 files into a store: annotations, zipped features and zipped frames.

Preliminary form: ``zip_feats/<set>.zip`` of ``<id>.npy`` [n, 768] float16. Semi-final form:
``zip_frames/<set>/<last 3 characters of id>/<id>.zip`` of JPEG frames. Either or both: a corpus with both gets features
and images. Frames are in lexicographic order of their names, as in the official extraction, so that feature k and image k
belong together.
"""

from __future__ import annotations

import io
import math
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from lab.corpora.json_arrays import read_array
from lab.corpora.writer import StoreWriter, sha256_of
from lab.corpora.zips import ZipIndex
from lib.data import checks
from lib.data.checks import Wrong
from lib.data.rejects import BadRecord, Rejects
from lib.data.schema import Video
from lib.data.vocabulary import WECHAT_CATEGORIES

FRAME_DIM = 768
LABELLED = "labeled"
KNOWN = frozenset(WECHAT_CATEGORIES)
DAMAGED = "the archive is damaged; copy it again from its source"


def recognise(folder: Path) -> bool:
    return any(folder.glob("annotations/*.json"))


def track(folder: Path) -> str:
    return "classes"


def read(folder: Path, writer: StoreWriter, rejects: Rejects) -> dict[str, Any]:
    """Import every set that has annotations.

    The test set has one name in the preliminary (``test_a``) and another in the semi-final (``test``); where both
    annotation files hold the same, the set is imported once, with features and frames from either name.

    Raises:
        BadRecord: the first bad record, unless ``rejects`` quarantines.
    """
    files = {file.stem: file for file in sorted(folder.glob("annotations/*.json"))}
    names = {part: (part,) for part in files}
    if "test" in files and "test_a" in files and sha256_of(files["test"]) == sha256_of(files["test_a"]):
        names["test_a"] = ("test_a", names.pop("test")[0])
    for part, aliases in names.items():
        try:
            with _Visual(folder, aliases) as visual:
                _read_part(files[part], part, visual, writer, rejects)
        except (
            BadRecord
        ) as error:  # the array or the archive as a whole is damaged: nothing more can be had of this set
            rejects.add(error)
    return {"tags": None, "categories": list(WECHAT_CATEGORIES)}


def _read_part(file: Path, part: str, visual: _Visual, writer: StoreWriter, rejects: Rejects) -> None:
    for number, item in tqdm(read_array(file), desc=f"import {part}", unit="video", mininterval=0.5):
        record = f"record {number}"
        try:
            try:
                name, video = _annotation(item, part)
            except Wrong as wrong:
                raise wrong.at(file, f"{record}{_id(item)}") from None
            record = f"{record} (video {name})"
            frames, images, source, field = visual.read(name, record)
            writer.add(
                Video(**video, frames=frames, images=images), file, record, frames_file=source, frames_field=field
            )
        except BadRecord as error:
            rejects.add(error)


def _id(item: Any) -> str:
    return f" (video {item['id']})" if isinstance(item, dict) and isinstance(item.get("id"), str) else ""


def _annotation(item: Any, part: str) -> tuple[str, dict[str, Any]]:
    """The id and the fields of a Video that an annotation gives."""
    if not isinstance(item, dict):
        raise Wrong("record", item, "every element is an object")
    for key in ("id", "title", "asr", "ocr", *(("category_id",) if part == LABELLED else ())):
        if key not in item:
            raise Wrong(key, "missing", "every record needs it; write the annotations again")
    for key in ("id", "title", "asr"):
        checks.text(item[key], key)
    name = item["id"]
    if not name.isalnum():  # it names files
        raise Wrong("id", name, "an id is a string of digits")
    category = item.get("category_id")
    if (category is not None or part == LABELLED) and (not isinstance(category, str) or category not in KNOWN):
        raise Wrong(
            "category_id",
            category,
            "unknown category: not one of the 200 official ones; keep it as text with its leading zeros",
        )
    return name, {
        "id": name,
        "title": item["title"],
        "asr": item["asr"],
        "ocr": read_ocr(item["ocr"]),
        "category": category,
        "part": part,
    }


def read_ocr(lines: Any) -> tuple[tuple[float, str], ...]:
    """(seconds, text) of a list of {time, text}.

    Raises:
        Wrong: it is not such a list.
    """
    if not isinstance(lines, (list, tuple)) or any(not isinstance(line, dict) for line in lines):
        raise Wrong("ocr", lines, "must be a list of {time, text}")
    for line in lines:
        checks.text(line.get("text"), "ocr")
        time = line.get("time", 0)
        if isinstance(time, bool) or not isinstance(time, (int, float)) or not math.isfinite(time):
            raise Wrong("ocr", line, "the time of a line is a number of seconds")
    return tuple((float(line.get("time", 0)), line["text"]) for line in lines)


class _Visual:
    """Features and images of one set, by video id.

    Raises:
        BadRecord: the set has neither, or its archive cannot be read at all.
    """

    def __init__(self, folder: Path, names: tuple[str, ...]):
        archives = [folder / "zip_feats" / f"{name}.zip" for name in names]
        folders = [folder / "zip_frames" / name for name in names]
        self.archive = next((path for path in archives if path.exists()), archives[0])
        self.frames = next((path for path in folders if path.is_dir()), None)
        self.features = None
        if self.archive.exists():
            try:
                self.features = ZipIndex(self.archive)
            except zipfile.BadZipFile as error:
                raise BadRecord(self.archive, "file", "zip", str(error), DAMAGED) from None
        elif any((folder / "zip_feats").glob("*.zip")) or self.frames is None:
            raise BadRecord(
                self.archive,
                "file",
                "zip",
                "missing",
                f"no features for the set {names[0]}; put the archive there, or move the annotations of this set away",
            )

    def __enter__(self) -> _Visual:
        return self

    def __exit__(self, *_: object) -> None:
        if self.features is not None:
            self.features.close()

    def read(self, name: str, record: str) -> tuple[np.ndarray | None, tuple[bytes, ...], Path, str]:
        """Features, images, and the file and field to name if something is wrong with the frames."""
        folder = None if self.frames is None else self.frames / name[-3:] / f"{name}.zip"
        images = () if folder is None else self._images(folder, record)
        if self.features is None:
            return None, images, folder, "frames"
        return self._features(name, record), images, self.archive, f"{name}.npy"

    def _features(self, name: str, record: str) -> np.ndarray:
        member = f"{name}.npy"
        try:
            return np.load(io.BytesIO(self.features.read(member)), allow_pickle=False)
        except KeyError:
            raise BadRecord(
                self.archive,
                record,
                member,
                "missing",
                "the archive has no such member; extract the features of this video",
            ) from None
        except zipfile.BadZipFile as error:
            raise BadRecord(self.archive, record, member, str(error), DAMAGED) from None
        except (ValueError, EOFError, OSError) as error:
            raise BadRecord(
                self.archive, record, member, str(error), "not a numpy array; extract the features again"
            ) from None

    def _images(self, file: Path, record: str) -> tuple[bytes, ...]:
        if not file.exists():
            raise BadRecord(file, record, "file", "missing", "the video has no frames; extract them or drop the record")
        images = []
        try:
            with zipfile.ZipFile(file) as archive:
                for member in sorted(archive.namelist()):
                    if not member.endswith("/"):
                        data = archive.read(member)
                        checks.image(data, member)
                        images.append(data)
        except Wrong as wrong:
            raise wrong.at(file, record) from None
        except (
            zipfile.BadZipFile,
            zipfile.LargeZipFile,
            zlib.error,
            NotImplementedError,
            RuntimeError,
            OSError,
            EOFError,
        ) as error:
            raise BadRecord(file, record, "zip", str(error), DAMAGED) from None
        if not images:
            raise BadRecord(file, record, "frames", 0, "a video needs at least one frame; extract its frames again")
        return tuple(images)
