"""Submission files as the teams wrote them."""

import csv
import json
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from lib.runs.files import write_atomically


def write_embeddings(
    path: Path, ids: Sequence[str], vectors: np.ndarray, *, member: str = "result.json", precision: str = "float16"
) -> None:
    """``{"<id>": [numbers]}`` in a deflated zip, which appears whole or not at all (AIAC 2021, specification 0.5).
    Raises ValueError: a number that is not finite, or too large for the precision. ``member``, ``precision``: name of
    the file in the zip and type of its numbers, as the team wrote them."""
    with np.errstate(over="ignore"):  # what overflows is refused
        rounded = vectors.astype(precision)
    if not np.isfinite(rounded).all():
        raise ValueError(f"embeddings hold NaN, Inf or numbers beyond {rounded.dtype}; nothing was written")
    content = json.dumps({str(name): [float(value) for value in row] for name, row in zip(ids, rounded, strict=True)})

    def write(temporary: Path) -> None:
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(zipfile.ZipInfo(member, (2021, 11, 1, 0, 0, 0)), content, zipfile.ZIP_DEFLATED)

    write_atomically(path, write)


def write_classes(path: Path, ids: Iterable[str], categories: Iterable[str]) -> None:
    """``id,category_id`` a line, no header, quoted where that is needed: result.csv of WeChat 2022."""

    def write(temporary: Path) -> None:
        with temporary.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(zip(ids, categories, strict=True))

    write_atomically(path, write)
