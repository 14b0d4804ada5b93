"""Score any submission file against a label file, both as the competitions' organisers wrote and read them."""

import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from lab.corpora.csv_files import AS_TEXT, ROUNDED, csv_lines
from lab.corpora.pair_files import pairs_in
from lab.corpora.reading import json_array, member, open_zip, unique
from lab.corpora.records import Record, checked, named, utf8
from lab.corpora.wechat2022 import CATEGORY, Category
from lib.data.pixels import is_litter
from lib.data.rejects import BadRecord, Rejects, Wrong
from lib.data.schema import WECHAT_CATEGORIES, CategoryTree
from lib.evaluation.metrics import mean_f1_both_ways, spearman


class Label(Record):
    """What a score needs of an annotation."""

    id: str
    category_id: Category = Field(description=CATEGORY)


def score_file(submission: Path, labels: Path) -> dict[str, Any]:
    """Score a submission: a zip of embeddings against pairs, or result.csv against another such file or annotations.
    Classes are scored twice: as it is official, and (``..._all_classes``) with classes that no video has counted as 0.
    Labels none of which is an official category are those of an own corpus; its classes are the ones on either side.
    Raises BadRecord: a file that cannot be read, or a labelled video that the submission lacks."""
    submission, labels = Path(submission), Path(labels)
    for file in (submission, labels):
        if not file.exists():
            raise BadRecord(file, "file", "path", "missing", "give an existing file")
    if submission.suffix == ".zip":
        return _score_pairs(read_embeddings(submission), submission, labels)
    official = labels.suffix == ".json" or any(name in WECHAT_CATEGORIES for _, _, name in _lines(labels))
    truth = _annotated(labels) if labels.suffix == ".json" else read_classes(labels, official=official)
    return _score_classes(read_classes(submission, official=official), submission, truth, official)


def read_embeddings(path: Path) -> dict[str, np.ndarray]:
    """id -> float64 [E]. Raises BadRecord: not a zip with one JSON object, a vector of another width, or a number that
    is not finite."""
    try:
        with open_zip(path) as archive:
            members = [name for name in archive.namelist() if name.endswith(".json") and not is_litter(name)]
            if len(members) != 1:
                raise BadRecord(path, "archive", "members", archive.namelist(), "exactly one .json file is expected")
            content = json.loads(member(archive, members[0]).decode("utf-8-sig"), object_pairs_hook=unique)
    except BadRecord:  # is a ValueError itself
        raise
    except (zipfile.BadZipFile, ValueError, RecursionError) as error:
        raise BadRecord(path, "archive", "content", str(error), "write the submission again") from None
    if not isinstance(content, dict):
        kind, remedy = f"a {type(content).__name__}", "one object of id: [numbers] is expected"
        raise BadRecord(path, "archive", "content", kind, remedy)
    result: dict[str, np.ndarray] = {}
    for name, values in content.items():
        width = len(next(iter(result.values()))) if result else None
        result[name] = _vector(path, name, values, width)
    return result


def _vector(path: Path, name: str, values: object, dim: int | None) -> np.ndarray:
    record = f"video {name}"
    try:
        vector = np.asarray(values, float)
    except (TypeError, ValueError):
        raise BadRecord(path, record, "embedding", values, "a list of numbers is expected") from None
    if vector.shape != (dim or vector.size,):
        remedy = f"every vector has {dim or vector.size} numbers"
        raise BadRecord(path, record, "embedding", f"shape {vector.shape}", remedy)
    if not np.isfinite(vector).all():
        raise BadRecord(path, record, "embedding", "NaN or Inf", "all numbers must be finite")
    return vector


def _lines(path: Path) -> Iterator[tuple[str, str, str]]:
    """(record, id, category) of each line of a result.csv."""
    usual = "a line is id,category_id"
    for number, row in csv_lines(path, usual):
        record, line = f"line {number}", ",".join(row)
        try:
            utf8(line, "line")
        except Wrong as wrong:
            raise wrong.at(path, record) from None
        if len(row) != 2 or row == ["id", "category_id"]:
            raise BadRecord(path, record, "line", line, f"{usual}{', without a header' if len(row) == 2 else ''}")
        if ROUNDED.fullmatch(row[0]):
            raise BadRecord(path, record, "id", row[0], AS_TEXT)
        yield f"{record} (video {row[0]})", row[0], row[1]


def read_classes(path: Path, *, official: bool = True) -> dict[str, str]:
    """id -> category. ``official``: only the 200 categories of WeChat 2022 are allowed. Raises BadRecord: a line that
    is not id,category_id, an unknown category, or an id twice."""
    result: dict[str, str] = {}
    for record, name, category in _lines(path):
        if official and category not in WECHAT_CATEGORIES:
            raise BadRecord(path, record, "category_id", category, CATEGORY)
        if name in result:
            raise BadRecord(path, record, "id", name, "the same id came before; write every video once")
        result[name] = category
    return result


def _annotated(labels: Path) -> dict[str, str]:
    items = ((f"record {number}", item) for number, item in json_array(labels))
    result: dict[str, str] = {}
    for record, item in items:
        label = checked(Label, item, labels, named(record, item))
        if label.id in result:
            raise BadRecord(labels, record, "id", label.id, "the same id came before; keep one of the two")
        result[label.id] = label.category_id
    return result


def _score_pairs(vectors: Mapping[str, np.ndarray], submission: Path, labels: Path) -> dict[str, Any]:
    cosine, score, seen, other = [], [], dict[frozenset[str], float](), 0
    for record, pair in pairs_in(labels, Rejects()):
        for name in (pair.id1, pair.id2):
            if name not in vectors:
                remedy = f"{record} of the labels needs it"
                raise BadRecord(submission, f"video {name}", "embedding", "missing", remedy)
        a, b = vectors[pair.id1], vectors[pair.id2]
        score.append(pair.score)
        other += seen.setdefault(frozenset((pair.id1, pair.id2)), pair.score) != pair.score
        cosine.append(a @ b / max(np.linalg.norm(a) * np.linalg.norm(b), 1e-12))
    found: dict[str, Any] = {"pairs": len(score), "spearman": spearman(np.array(cosine), np.array(score))}
    if other:
        pairs = "1 pair has" if other == 1 else f"{other} pairs have"
        found["contradicting"] = f"{pairs} another score than the same two videos before"
    for what, values in (("cosines", cosine), ("scores", score)):
        if np.ptp(values) == 0:
            found["constant"] = f"all {what} are {values[0]:g}, so there is nothing to rank"
    return found


def _score_classes(
    predicted: Mapping[str, str], submission: Path, truth: Mapping[str, str], official: bool
) -> dict[str, float]:
    for name in truth:
        if name not in predicted:
            remedy = "every labelled video needs one line"
            raise BadRecord(submission, f"video {name}", "category_id", "missing", remedy)
    for name in predicted:
        if name not in truth:
            raise BadRecord(submission, f"video {name}", "id", name, "the labels know no such video; remove the line")
    if not truth:
        raise BadRecord(submission, "file", "labels", "none", "the label file holds no video")
    names = WECHAT_CATEGORIES if official else sorted({*truth.values(), *predicted.values()})
    index = {name: number for number, name in enumerate(names)}
    t, p = (np.array([index[table[name]] for name in truth]) for table in (truth, predicted))
    return {"videos": len(truth), **mean_f1_both_ways(t, p, CategoryTree(names).level1_of_level2)}
