"""CSV files: lines of values, and records by the names in the first line."""

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lab.corpora.reading import text_lines
from lib.data.rejects import BadRecord, Rejects

VALUES = "as many values as the first line has names, quoted where they hold a comma"
ROUNDED = re.compile(r"[0-9.]+E\+[0-9]+")
AS_TEXT = "a spreadsheet has rounded the id; write the file again with ids as text"
csv.field_size_limit(1 << 24)  # characters: speech can be longer than the 131,072 of Python


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


def csv_records(file: Path, rejects: Rejects, needs: tuple[str, ...] = ()) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """(number from 0, name of the record, record); values are text, and None where empty. A line of empty values is as good
    as none. ``needs``: names without which the first line is none. Raises BadRecord: names that are missing or come twice, a
    line of more or fewer values than the first, an id that a spreadsheet has rounded, unless ``rejects`` quarantines."""
    _, first = next(text_lines(file), (0, ""))
    comma = max(",;\t", key=first.count)  # ; as spreadsheets write it where 0,5 is a number
    rows = csv_lines(file, VALUES, comma)
    names = [name.strip() for name in next(rows, (0, []))[1]]
    if len(set(names)) < len(names) or (names and not set(needs) <= set(names)):
        remedy = f"the first line names the columns{', among them ' * bool(needs)}{', '.join(needs)}, each once"
        rejects.add(BadRecord(file, "line 1", "line", first, remedy))
        return
    for count, (number, row) in enumerate((number, row) for number, row in rows if any(row)):
        record = {name: value or None for name, value in zip(names, row, strict=False)}
        rounded = [value for name, value in record.items() if name.startswith("id") and ROUNDED.fullmatch(value or "")]
        if len(row) != len(names):
            rejects.add(BadRecord(file, f"line {number}", "line", comma.join(row), VALUES))
        elif rounded:
            rejects.add(BadRecord(file, f"line {number}", "id", rounded[0], AS_TEXT))
        else:
            yield count, f"line {number}", record
