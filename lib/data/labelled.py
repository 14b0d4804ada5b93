"""Which labelled videos of a corpus train and which are held out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lib.data import splits
from lib.data.store import Store


def split_rows(
    store: Store, parts: Sequence[str] = (), *, use: str = "stratified", k: int = 10, fold: int = 0, seed: int = 2022
) -> tuple[np.ndarray, np.ndarray]:
    """Store rows of the labelled videos of some parts: int64 those that train, int64 those held out.

    Args:
        parts: names the corpus lacks are passed over; none means all videos.
        use: ``random`` (the official baseline's) or ``stratified``: the folds of scikit-learn's StratifiedKFold.
        k, fold, seed: fold ``fold`` of ``k`` is held out.

    Raises:
        ValueError: fewer labelled videos than folds.
    """
    labels = store.categories()
    rows = store.rows(*[part for part in parts if part in set(store.parts)]) if parts else store.rows()
    labelled = rows[labels[rows] >= 0]
    rule = splits.random_split if use == "random" else splits.holdout
    train, held = rule(labels[labelled], fraction=1 / k, seed=seed, fold=fold)
    return labelled[train], labelled[held]


def class_counts(store: Store, rows: np.ndarray) -> np.ndarray:
    """int64 [C]: videos of each of the corpus' categories among labelled rows."""
    return np.bincount(store.categories()[rows], minlength=len(store.manifest["categories"]))
