"""Do two reports say the same? Their tables, cell by cell: ``python -m lab.show.agreement MADE COMMITTED``.

On the processor that made the committed tables every score must be the same to the last bit; elsewhere to 1e-3, because
processors differ in last bits, which training then carries on. Times and memory are measured anew by every run.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from lib.runs.machine import processor
from lib.runs.paths import shown

MEASURED = (
    "seconds",
    "total_seconds",
    "samples_per_second",
    "peak_rss_mb",
)  # columns: of the machine, not of the method
RECORDS = ("runs.csv", "provenance.csv")  # tables of digests, commits and times
ELSEWHERE = 1e-3  # largest difference of a score between processors
COLUMNS = ["table", "row", "column", "made", "committed"]


def tolerance(committed: Path) -> float:
    """0 on the processor that ``tables/provenance.csv`` names, else ``ELSEWHERE``."""
    file = committed / "tables" / "provenance.csv"
    facts = pd.read_csv(file, index_col="what")["value"] if file.exists() else pd.Series(dtype=str)
    return 0.0 if facts.get("processor") == processor() else ELSEWHERE


def differences(made: Path, committed: Path, largest: float = 0.0) -> pd.DataFrame:
    """Cells of two reports' tables that differ; a table, row or column that only one has is one difference.

    Args:
        made, committed: folders of reports.
        largest: difference of two numbers that is none.

    Returns:
        columns ``COLUMNS``, all text.

    Raises:
        FileNotFoundError: a folder without tables.
    """
    names = []
    for folder in (made, committed):
        names.append({file.name for file in (folder / "tables").glob("*.csv")} - set(RECORDS))
        if not names[-1]:
            raise FileNotFoundError(f"{shown(folder)}: no tables; give the folder of a report, such as reports/laptop")
    rows = [
        (name, "", "", *(("there", "missing") if name in names[0] else ("missing", "there")))
        for name in sorted(names[0] ^ names[1])
    ]
    for name in sorted(names[0] & names[1]):
        rows += [(name, *cell) for cell in _cells(*(folder / "tables" / name for folder in (made, committed)), largest)]
    return pd.DataFrame(rows, columns=COLUMNS)


def _cells(made: Path, committed: Path, largest: float) -> Iterator[tuple[str, str, str, str]]:
    ours, theirs = (pd.read_csv(file, dtype=str, keep_default_na=False) for file in (made, committed))
    if list(ours.columns) != list(theirs.columns):
        yield "", "all", " ".join(ours.columns), " ".join(theirs.columns)
    elif len(ours) != len(theirs):
        yield "all", "", f"{len(ours)} rows", f"{len(theirs)} rows"
    else:
        for column in ours.columns.drop(list(MEASURED), errors="ignore"):
            for number, (one, other) in enumerate(zip(ours[column], theirs[column], strict=True)):
                if one != other and not _near(one, other, largest):
                    yield str(number), column, one, other


def _near(one: str, other: str, largest: float) -> bool:
    """Two cells of one number, or of several with spaces between."""
    try:
        pairs = list(zip(map(float, one.split()), map(float, other.split()), strict=True))
    except ValueError:
        return False
    return bool(pairs) and all(abs(a - b) <= largest for a, b in pairs)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("made", type=Path)
    parser.add_argument("committed", type=Path)
    folders = parser.parse_args()
    largest = tolerance(folders.committed)
    found = differences(folders.made, folders.committed, largest)
    exactly = "to the last bit" if largest == 0 else f"to {largest:g}"
    if found.empty:
        print(f"All tables say the same, {exactly}.")
        return 0
    print(found.to_string(index=False, max_colwidth=40))
    print(f"{len(found)} cells differ, compared {exactly}.")
    return 1


if __name__ == "__main__":
    sys.exit(main())
