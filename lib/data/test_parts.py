"""Which videos are handed in: those of a store's test parts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lib.data.store import Store


def parts_of_test(store: Store, used: Sequence[str] = ()) -> list[str]:
    """Parts whose names begin with ``test`` and that the job does not learn from."""
    return [part for part in store.parts if part.startswith("test") and part not in used]


def rows_of_test(store: Store, used: Sequence[str] = ()) -> np.ndarray:
    """int64 rows of all test videos, ascending."""
    parts = parts_of_test(store, used)
    return store.rows(*parts) if parts else np.arange(0)
