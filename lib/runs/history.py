"""history.jsonl: one line per logged step, score or event; append, cut, read."""

import json
from pathlib import Path
from typing import Any

import pandas as pd

from lib.runs.files import write_text


class History:
    """Rows are dictionaries with a ``step``. A run killed after its last checkpoint has logged steps that it will
    repeat: ``truncate`` cuts them, so that the file of a resumed run equals that of an uninterrupted one."""

    def __init__(self, path: Path):
        self.path = Path(path)

    def append(self, row: dict[str, Any]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")

    def truncate(self, step: int) -> None:
        """Drop rows after ``step`` and a half-written last line."""
        kept = [row for row in self.rows() if row["step"] <= step]
        write_text(self.path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in kept))

    def rows(self) -> list[dict[str, Any]]:
        if not self.path.exists():
            return []
        rows = []
        for line in self.path.read_text(encoding="utf-8").splitlines():
            try:
                rows.append(json.loads(line))
            except json.JSONDecodeError:  # the process died while writing this line
                break
        return rows

    def frame(self, kind: str = "loss") -> pd.DataFrame:
        """Rows that hold ``kind`` ("loss", "scores" or "event"); nested terms and scores become columns."""
        rows = [row for row in self.rows() if kind in row]
        return pd.json_normalize(rows, sep=".") if rows else pd.DataFrame({"step": []})
