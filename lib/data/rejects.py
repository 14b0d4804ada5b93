"""Bad input: one error that names file, record, field, value and remedy; or a quarantine that lists every one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lib.data.schema import Video
from lib.runs.paths import shown


class BadRecord(ValueError):
    """A record that cannot be imported."""

    def __init__(self, file: Path | str, record: str, field: str, value: object, remedy: str):
        self.file, self.record, self.field, self.remedy = shown(file), record, field, remedy
        self.value = repr(value) if len(repr(value)) <= 80 else repr(value)[:77] + "..."
        super().__init__(f"{self.file}: {record}: {field} is {self.value}: {remedy}")


class Rejects:
    """What to do with bad records: stop at the first, or collect them."""

    def __init__(self, quarantine: bool = False):
        self.quarantine = quarantine
        self.errors: list[BadRecord] = []

    def add(self, error: BadRecord) -> None:
        """Raises the error itself unless in quarantine."""
        if not self.quarantine:
            raise error
        self.errors.append(error)

    def write(self, path: Path) -> None:
        names = ("file", "record", "field", "value", "remedy")
        pq.write_table(pa.table({name: pa.array([getattr(e, name) for e in self.errors], pa.string()) for name in names}), path)


def check_frames(frames: np.ndarray, file: Path | str, record: str, field: str, max_frames: int, width: int | None) -> None:
    """Raises BadRecord unless frames are a finite matrix [1..max_frames, width]."""
    if frames.ndim != 2:
        raise BadRecord(file, record, field, f"an array of shape {frames.shape}", "must be a matrix, one row per frame; extract the features again")
    if len(frames) == 0:
        raise BadRecord(file, record, field, 0, "a video needs at least one frame; drop the record or extract its frames again")
    if len(frames) > max_frames:
        raise BadRecord(file, record, field, len(frames), f"at most {max_frames} frames are allowed; sample the video or raise the limit with --max-frames")
    if width is not None and frames.shape[1] != width:
        raise BadRecord(file, record, field, frames.shape[1], f"the other videos have {width} numbers per frame; extract the features with one model")
    if not np.isfinite(frames).all():
        where = np.argwhere(~np.isfinite(frames))[0]
        raise BadRecord(file, record, field, f"{frames[tuple(where)]} in frame {where[0]}", "NaN and Inf would spoil training; extract the features again")


def check_text(video: Video, file: Path | str, record: str) -> None:
    if not video.id:
        raise BadRecord(file, record, "id", video.id, "every video needs an id; add one")
