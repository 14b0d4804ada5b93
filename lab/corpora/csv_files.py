"""CSV files: lines of values, and records by the names in the first line."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lab.corpora.reading import text_lines
from lib.data.rejects import BadRecord, Rejects

VALUES = "as many values as the first line has names, quoted where they hold a comma"


def csv_lines(file: Path, remedy: str, comma: str = ",") -> Iterator[tuple[int, list[str]]]:
    """(number of its last line, values) of each record. Raises BadRecord: quotes that do not match."""
    number = 0

    def lines() -> Iterator[str]:
        nonlocal number
        for at, line in text_lines(file):
            number = at
            yield line + "\n"

    try:
        for row in csv.reader(lines(), delimiter=comma, strict=True):
            yield number, row
    except csv.Error as error:
        raise BadRecord(file, f"line {number}", "line", str(error), remedy) from None


def csv_records(file: Path, rejects: Rejects) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """(number from 0, name of the record, record); values are text, and None where empty. Raises BadRecord: a line of more
    or fewer values than the first, unless ``rejects`` quarantines."""
    _, first = next(text_lines(file), (0, ""))
    comma = ";" if first.count(";") > first.count(",") else ","  # as spreadsheets write it where 0,5 is a number
    rows = csv_lines(file, VALUES, comma)
    names = [name.strip() for name in next(rows, (0, []))[1]]
    for count, (number, row) in enumerate(rows):
        if len(row) == len(names):
            yield count, f"line {number}", {name: value or None for name, value in zip(names, row, strict=True)}
        else:
            rejects.add(BadRecord(file, f"line {number}", "line", comma.join(row), VALUES))
