"""Labelled pairs: ``id1 <tab> id2 <tab> score`` lines, JSONL or Parquet with those three keys."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import Field
from tqdm.auto import tqdm

from lab.corpora.reading import objects, text_lines
from lab.corpora.records import Id, Record, checked
from lib.data.rejects import BadRecord, Rejects
from lib.data.writer import StoreWriter

SCORE = "a similarity is a number in [0, 1]; rescale it, correct it or drop the pair"


class Pair(Record):
    """Two videos and how alike they are."""

    missing: ClassVar[str] = "a pair has id1, id2 and score; add it or drop the pair"
    id1: Id
    id2: Id
    score: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False, description=SCORE)]


def pairs_in(file: Path, rejects: Rejects) -> Iterator[tuple[str, Pair]]:
    """(name of the record, pair) of a .tsv, .jsonl or .parquet file. Raises BadRecord: the first bad pair, unless
    ``rejects`` quarantines."""
    if file.suffix in (".jsonl", ".parquet"):
        rows = ((record, item) for _, record, item in objects(file, rejects))
    else:
        rows = ((f"line {number}", _fields(line)) for number, line in text_lines(file))
    for record, row in rows:
        try:
            if isinstance(row, str):
                raise BadRecord(file, record, "line", row, "a line is id1 <tab> id2 <tab> score")
            yield record, checked(Pair, row, file, record)
        except BadRecord as error:
            rejects.add(error)


def _fields(line: str) -> dict[str, Any] | str:
    """The three fields of a line; the line itself if it has another number of them."""
    fields = [field.strip() for field in line.split("\t")]
    if len(fields) != 3:
        return line
    return {"id1": fields[0], "id2": fields[1], "score": as_number(fields[2])}


def as_number(text: str) -> float | str:
    """The number that a text stands for; the text itself where it stands for none, as 1_0, which is one to Python alone."""
    with suppress(ValueError):
        return text if "_" in text else float(text)
    return text


def read_pairs(file: Path, writer: StoreWriter, rejects: Rejects) -> None:
    """Add every pair of a file to the store. Raises BadRecord: the first bad pair, unless ``rejects`` quarantines."""
    for record, pair in tqdm(pairs_in(file, rejects), desc="import pairs", unit="pair", mininterval=0.5):
        try:
            writer.add_pair(pair.id1, pair.id2, pair.score, file, record)
        except BadRecord as error:
            rejects.add(error)
