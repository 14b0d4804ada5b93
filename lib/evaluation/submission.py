"""Submission files as the teams wrote them, and a reader that scores any of them against a label file."""

from __future__ import annotations

import csv
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from lib.data.rejects import BadRecord
from lib.data.vocabulary import WECHAT_CATEGORIES, CategoryTree
from lib.evaluation.metrics import mean_f1_both_ways, spearman
from lib.recipes.specs import SubmissionSpec
from lib.runs.files import write_atomically

DIM = 256
UNKNOWN_CATEGORY = "not one of the 200 official categories; keep leading zeros"


def write_embeddings(path: Path, ids: Sequence[str], vectors: np.ndarray, spec: SubmissionSpec) -> None:
    """``{"<id>": [numbers]}`` in a deflated zip, which appears whole or not at all (AIAC 2021, specification 0.5).

    Args:
        vectors: float [N, E].
        spec: name of the file in the zip and precision of its numbers, as the team wrote them.

    Raises:
        ValueError: a number that is not finite, or too large for the precision.
    """
    with np.errstate(over="ignore"):  # what overflows is refused
        rounded = vectors.astype(spec.precision)
    if not np.isfinite(rounded).all():
        raise ValueError(f"embeddings hold NaN, Inf or numbers beyond {rounded.dtype}; nothing was written")
    content = json.dumps({str(name): [float(value) for value in row] for name, row in zip(ids, rounded, strict=True)})

    def write(temporary: Path) -> None:
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(zipfile.ZipInfo(spec.member, (2021, 11, 1, 0, 0, 0)), content, zipfile.ZIP_DEFLATED)

    write_atomically(path, write)


def read_embeddings(path: Path, dim: int | None = DIM) -> dict[str, np.ndarray]:
    """id -> float64 [dim]; ``dim`` None accepts any one width.

    Raises:
        BadRecord: not a zip with one JSON object, a vector of another width, or a number that is not finite.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = [name for name in archive.namelist() if name.endswith(".json")]
            if len(members) != 1:
                raise BadRecord(path, "archive", "members", archive.namelist(), "exactly one .json file is expected")
            content = json.loads(archive.read(members[0]))
    except BadRecord:  # is a ValueError itself
        raise
    except (zipfile.BadZipFile, ValueError) as error:
        raise BadRecord(path, "archive", "content", str(error), "write the submission again") from None
    if not isinstance(content, dict):
        raise BadRecord(
            path, "archive", "content", f"a {type(content).__name__}", "one object of id: [numbers] is expected"
        )
    result: dict[str, np.ndarray] = {}
    for name, values in content.items():
        try:
            vector = np.asarray(values, float)
        except (TypeError, ValueError):
            raise BadRecord(path, f"video {name}", "embedding", values, "a list of numbers is expected") from None
        dim = dim or vector.size
        if vector.shape != (dim,):
            raise BadRecord(
                path, f"video {name}", "embedding", f"shape {vector.shape}", f"every vector has {dim} numbers"
            )
        if not np.isfinite(vector).all():
            raise BadRecord(path, f"video {name}", "embedding", "NaN or Inf", "all numbers must be finite")
        result[name] = vector
    return result


def write_classes(path: Path, ids: Sequence[str], categories: Sequence[str]) -> None:
    """``id,category_id`` a line, no header: result.csv of WeChat 2022."""
    path.write_text(
        "".join(f"{name},{category}\n" for name, category in zip(ids, categories, strict=True)), encoding="utf-8"
    )


def read_classes(path: Path) -> dict[str, str]:
    """id -> category.

    Raises:
        BadRecord: a line that is not id,category_id, an unknown category, or an id twice.
    """
    result: dict[str, str] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for number, row in enumerate(csv.reader(file), 1):
            if len(row) != 2:
                raise BadRecord(path, f"line {number}", "line", ",".join(row), "a line is id,category_id")
            if row[1] not in WECHAT_CATEGORIES:
                raise BadRecord(path, f"line {number} (video {row[0]})", "category_id", row[1], UNKNOWN_CATEGORY)
            if row[0] in result:
                raise BadRecord(path, f"line {number}", "id", row[0], "the same id came before; write every video once")
            result[row[0]] = row[1]
    return result


def score_file(submission: Path, labels: Path) -> dict[str, float]:
    """Score a submission: a zip of embeddings against ``label.tsv``, or result.csv against another such file or annotations.

    Classes are scored twice: as it is official, and (``..._all_classes``) with classes that no video has counted as 0.

    Raises:
        BadRecord: a file that cannot be read, or a labelled video that the submission lacks.
    """
    submission, labels = Path(submission), Path(labels)
    for file in (submission, labels):
        if not file.exists():
            raise BadRecord(file, "file", "path", "missing", "give an existing file")
    if submission.suffix == ".zip":
        return _score_pairs(read_embeddings(submission, dim=None), submission, labels)
    return _score_classes(read_classes(submission), submission, _truth(labels))


def _score_pairs(vectors: Mapping[str, np.ndarray], submission: Path, labels: Path) -> dict[str, float]:
    cosine, score = [], []
    with labels.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            parts = line.rstrip("\n").split("\t")
            if len(parts) != 3:
                raise BadRecord(labels, f"line {number}", "line", line, "a line is id1 <tab> id2 <tab> score")
            for name in parts[:2]:
                if name not in vectors:
                    raise BadRecord(
                        submission, f"video {name}", "embedding", "missing", f"line {number} of the labels needs it"
                    )
            a, b = vectors[parts[0]], vectors[parts[1]]
            try:
                score.append(float(parts[2]))
            except ValueError:
                raise BadRecord(labels, f"line {number}", "score", parts[2], "must be a number") from None
            cosine.append(a @ b / max(np.linalg.norm(a) * np.linalg.norm(b), 1e-12))
    return {"pairs": len(score), "spearman": spearman(np.array(cosine), np.array(score))}


def _truth(labels: Path) -> dict[str, str]:
    if labels.suffix != ".json":
        return read_classes(labels)
    try:
        items = json.loads(labels.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BadRecord(labels, "file", "content", str(error), "a JSON list of annotations is expected") from None
    result: dict[str, str] = {}
    for number, item in enumerate(items, 1):
        for field in ("id", "category_id"):
            if field not in item:
                raise BadRecord(labels, f"item {number}", field, "missing", "every annotation has id and category_id")
        if item["category_id"] not in WECHAT_CATEGORIES:
            raise BadRecord(
                labels, f"item {number} (video {item['id']})", "category_id", item["category_id"], UNKNOWN_CATEGORY
            )
        result[item["id"]] = item["category_id"]
    return result


def _score_classes(predicted: Mapping[str, str], submission: Path, truth: Mapping[str, str]) -> dict[str, float]:
    for name in truth:
        if name not in predicted:
            raise BadRecord(
                submission, f"video {name}", "category_id", "missing", "every labelled video needs one line"
            )
    for name in predicted:
        if name not in truth:
            raise BadRecord(submission, f"video {name}", "id", name, "the labels know no such video; remove the line")
    index = {name: number for number, name in enumerate(WECHAT_CATEGORIES)}
    t, p = (np.array([index[table[name]] for name in truth]) for table in (truth, predicted))
    return {"videos": len(truth), **mean_f1_both_ways(t, p, CategoryTree(WECHAT_CATEGORIES).level1_of_level2)}
