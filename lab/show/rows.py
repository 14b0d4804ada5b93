"""Rows of a data frame as plain Python: numbers are numbers, and what is missing is None or NaN."""

from __future__ import annotations

from typing import Any

import pandas as pd

Row = dict[str, Any]


def dicts(frame: pd.DataFrame) -> list[Row]:
    """Column -> value, one dictionary a row."""
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def named(frame: pd.DataFrame) -> list[Any]:
    """Rows whose columns are attributes, in order."""
    return list(frame.itertuples(index=False))
