"""WeChat Big Data Challenge 2022 files into a store: annotations, zipped features and zipped frames. Preliminary form:
``zip_feats/<set>.zip`` of ``<id>.npy`` [n, 768] float16. Semi-final form: ``zip_frames/<set>/<last 3 characters of
id>/<id>.zip`` of JPEG frames. Either or both: a corpus with both gets features and images. Frames are in lexicographic
order of their names, as in the official extraction, so that feature k and image k belong together."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import AfterValidator, Field
from tqdm.auto import tqdm

from lab.corpora.reading import json_array, member, open_zip
from lab.corpora.records import Ocr, Record, Text, checked, named, screen_texts
from lib.data.pixels import is_litter, listed, picture
from lib.data.rejects import BadRecord, Rejects, Wrong
from lib.data.schema import WECHAT_CATEGORIES, Video
from lib.data.writer import StoreWriter
from lib.runs.files import checksum

FRAME_DIM = 768
FILES = re.compile(r"annotations/[^/]+\.json|zip_feats/[^/]+\.zip|zip_frames/[^/]+/.{1,3}/[^/]+\.zip")  # that are read
LABELLED = "labeled"
KNOWN = frozenset(WECHAT_CATEGORIES)
CATEGORY = "unknown category: not one of the 200 official ones; keep it as text with its leading zeros"
DAMAGED = "cannot be read; copy it again from its source, or pack it again"


def _official(category: str) -> str:
    if category not in KNOWN:
        raise ValueError(CATEGORY)
    return category


Category = Annotated[str, AfterValidator(_official)]


class Annotation(Record):
    """A video of a set without labels."""

    missing: ClassVar[str] = "every record needs it; write the annotations again"
    # letters and digits, because it names files
    id: Annotated[str, Field(pattern=r"^[\p{L}\p{N}]+$", description="an id is a string of digits")]
    title: Text
    asr: Text
    ocr: Ocr
    category_id: Category | None = Field(None, description=CATEGORY)


class LabelledAnnotation(Annotation):
    """A video of the labelled set."""

    category_id: Category = Field(description=CATEGORY)


def recognise(folder: Path) -> bool:
    """Whether a folder holds files of this format."""
    return bool(_annotations(folder))


def track(folder: Path) -> str:
    """Of a corpus in this format."""
    return "classes"


def read(folder: Path, writer: StoreWriter, rejects: Rejects) -> dict[str, Any]:
    """Import every set that has annotations. The test set has one name in the preliminary (``test_a``) and another in
    the semi-final (``test``); where both annotation files hold the same, the set is imported once, with features and
    frames from either name. Raises BadRecord: the first bad record, unless ``rejects`` quarantines."""
    files = {file.stem: file for file in _annotations(folder)}
    names: dict[str, tuple[str, ...]] = {part: (part,) for part in files}
    if "test" in files and "test_a" in files and checksum(files["test"]) == checksum(files["test_a"]):
        names["test_a"] = ("test_a", names.pop("test")[0])
    for part, aliases in names.items():
        try:
            with _Visual(folder, aliases) as visual:
                _read_part(files[part], part, visual, writer, rejects)
        except BadRecord as error:  # the array or the archive as a whole is damaged: no more can be had of this set
            rejects.add(error)
    return {"tags": None, "categories": list(WECHAT_CATEGORIES)}


def _annotations(folder: Path) -> list[Path]:
    return [file for file in listed(folder / "annotations") if file.suffix == ".json"]


def _read_part(file: Path, part: str, visual: _Visual, writer: StoreWriter, rejects: Rejects) -> None:
    model = LabelledAnnotation if part == LABELLED else Annotation
    for number, item in tqdm(json_array(file), desc=f"import {part}", unit="video", mininterval=0.5):
        record = named(f"record {number}", item)
        try:
            found = checked(model, item, file, record)
            frames, images, source, field = visual.read(found.id, record)
            video = Video(
                id=found.id,
                title=found.title,
                asr=found.asr,
                ocr=screen_texts(found.ocr),
                category=found.category_id,
                part=part,
                frames=frames,
                images=images,
            )
            writer.add(video, file, record, frames_file=source, frames_field=field)
        except BadRecord as error:
            rejects.add(error)


class _Visual:
    """Features and images of one set, by video id. Raises BadRecord: the set has neither, or its archive cannot be read
    at all."""

    def __init__(self, folder: Path, names: tuple[str, ...]):
        archives = [folder / "zip_feats" / f"{name}.zip" for name in names]
        folders = [folder / "zip_frames" / name for name in names]
        self.archive = next((path for path in archives if path.exists()), archives[0])
        self.frames = next((path for path in folders if path.is_dir()), None)
        self.features = None
        if self.archive.exists():
            try:
                self.features = open_zip(self.archive)
            except zipfile.BadZipFile as error:
                raise BadRecord(self.archive, "file", "zip", str(error), DAMAGED) from None
        elif self.frames is None or any(file.suffix == ".zip" for file in listed(folder / "zip_feats")):
            remedy = "put the archive there, or move the annotations of this set away"
            raise BadRecord(self.archive, "file", "zip", "missing", f"no features for the set {names[0]}; {remedy}")

    def __enter__(self) -> _Visual:
        return self

    def __exit__(self, *_: object) -> None:
        if self.features is not None:
            self.features.close()

    def read(self, name: str, record: str) -> tuple[np.ndarray | None, tuple[bytes, ...], Path | None, str]:
        """Features, images, and the file and field to name if something is wrong with the frames."""
        folder = None if self.frames is None else self.frames / name[-3:] / f"{name}.zip"
        images = () if folder is None else self._images(folder, record)
        if self.features is None:
            return None, images, folder, "frames"
        return self._features(self.features, name, record), images, self.archive, f"{name}.npy"

    def _features(self, archive: zipfile.ZipFile, name: str, record: str) -> np.ndarray:
        array = f"{name}.npy"
        try:
            return np.load(io.BytesIO(member(archive, array)), allow_pickle=False)
        except KeyError:
            value, remedy = "missing", "the archive has no such member; extract the features of this video"
        except zipfile.BadZipFile as error:
            value, remedy = str(error), DAMAGED
        except (ValueError, EOFError, OSError) as error:
            value, remedy = str(error), "not a numpy array; extract the features again"
        raise BadRecord(self.archive, record, array, value, remedy)

    def _images(self, file: Path, record: str) -> tuple[bytes, ...]:
        if not file.exists():
            raise BadRecord(file, record, "file", "missing", "the video has no frames; extract them or drop the record")
        images = []
        try:
            with open_zip(file) as archive:
                for name in sorted(archive.namelist()):
                    if not name.endswith("/") and not is_litter(name):
                        images.append(member(archive, name))
                        picture(images[-1], name)
        except Wrong as wrong:
            raise wrong.at(file, record) from None
        except zipfile.BadZipFile as error:
            raise BadRecord(file, record, "zip", str(error), DAMAGED) from None
        if not images:
            raise BadRecord(file, record, "frames", 0, "a video needs at least one frame; extract its frames again")
        return tuple(images)
