"""Do two reports say the same? Their tables, cell by cell: ``python -m tests.show.agreement MADE COMMITTED``.

On the processor that made the committed tables every score must be the same to the last bit; elsewhere to 1e-3, because
processors differ in last bits, which training then carries on. Times and memory are measured anew by every run.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

from lib.runs.machine import processor
from lib.runs.paths import shown

MEASURED = ["seconds", "total_seconds", "samples_per_second", "peak_rss_mb", "digest"]  # columns: not of the method
RECORDS = ("runs.csv", "provenance.csv")  # tables of digests, commits and times
ELSEWHERE = 1e-3  # largest difference of a score between processors


def tolerance(committed: Path) -> float:
    """0 on the processor that ``tables/provenance.csv`` names, else ``ELSEWHERE``."""
    file = committed / "tables" / "provenance.csv"
    facts = pd.read_csv(file, index_col="what")["value"] if file.exists() else pd.Series(dtype=str)
    return 0.0 if facts.get("processor") == processor() else ELSEWHERE


def differences(made: Path, committed: Path, largest: float = 0.0) -> pd.DataFrame:
    """Cells of two reports' tables that differ; a table, column or number of rows that only one has is one difference.

    Args:
        made, committed: folders of reports; largest: difference of two numbers that is none.

    Raises:
        FileNotFoundError: a folder without tables.
    """
    tables = []
    for folder in (made, committed):
        files = [file for file in sorted((folder / "tables").glob("*.csv")) if file.name not in RECORDS]
        tables.append({file.name: pd.read_csv(file, dtype=str, keep_default_na=False) for file in files})
        if not files:
            raise FileNotFoundError(f"{shown(folder)}: no tables; give the folder of a report, such as reports/laptop")
    here, there = tables
    rows = [(name, "", "", name in here, name in there) for name in sorted(here.keys() ^ there.keys())]
    for name in sorted(here.keys() & there.keys()):
        ours, theirs = (table[name].drop(columns=MEASURED, errors="ignore") for table in tables)
        only = ours.columns.symmetric_difference(theirs.columns, sort=False)
        rows += [(name, "", column, column in ours, column in theirs) for column in only]
        if len(ours) != len(theirs):
            rows.append((name, "all", "", f"{len(ours)} rows", f"{len(theirs)} rows"))
            continue
        for column in ours.columns.intersection(theirs.columns, sort=False):
            cells = zip(ours[column], theirs[column], strict=True)
            rows += [(name, row, column, *cell) for row, cell in enumerate(cells) if not _near(*cell, largest)]
    return pd.DataFrame(rows, columns=["table", "row", "column", "made", "committed"])


def _near(one: str, other: str, largest: float) -> bool:
    """Two cells of one text, one number, or several numbers with spaces between."""
    try:
        pairs = list(zip(map(float, one.split()), map(float, other.split()), strict=True))
    except ValueError:
        return one == other
    return one == other or (bool(pairs) and all(abs(a - b) <= largest for a, b in pairs))


def main(made: str, committed: str) -> int:
    """Print every cell that differs; returns 1 if any does."""
    largest = tolerance(Path(committed))
    found = differences(Path(made), Path(committed), largest)
    exactly = "to the last bit" if largest == 0 else f"to {largest:g}"
    told = f"{len(found)} cells differ, compared {exactly}." if len(found) else f"All tables say the same, {exactly}."
    print(f"{found.to_string(index=False, max_colwidth=40)}\n{told}" if len(found) else told)
    return int(len(found) > 0)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
