"""What of a corpus trains, is held out and handed in (by the rules of ``splits``); scores as targets, rare categories
more often."""

from collections.abc import Sequence

import numpy as np
from scipy.stats import rankdata

from lib.data import splits
from lib.data.store import Store


def split_rows(
    store: Store, parts: Sequence[str] = (), *, use: str = "stratified", k: int = 10, fold: int = 0, seed: int = 2022
) -> tuple[np.ndarray, np.ndarray]:
    """Store rows of the labelled videos of some parts: int64 those that train, int64 those held out. Raises ValueError:
    fewer labelled videos than folds.

    Args:
        parts: as of ``rows_of``; videos of test parts are left out whatever is named.
        use: ``random`` (the official baseline's) or ``stratified``: the folds of scikit-learn's StratifiedKFold.
        k, fold, seed: fold ``fold`` of ``k`` is held out.
    """
    labels, rows = store.categories(), np.setdiff1d(rows_of(store, parts), rows_of_test(store))
    labelled = rows[labels[rows] >= 0]
    rule = splits.random_split if use == "random" else splits.holdout
    train, held = rule(labels[labelled], fraction=1 / k, seed=seed, fold=fold)
    return labelled[train], labelled[held]


def rows_of(store: Store, parts: Sequence[str] = ()) -> np.ndarray:
    """int64 store rows of some parts, ascending; where the corpus has none of these, of all parts but those of test."""
    named = [part for part in store.parts if part in parts]
    return store.rows(*named) if named else np.setdiff1d(store.rows(), rows_of_test(store))


def class_counts(store: Store, rows: np.ndarray) -> np.ndarray:
    """int64 [C]: videos of each of the corpus' categories among labelled rows."""
    return np.bincount(store.categories()[rows], minlength=len(store.manifest["categories"]))


def parts_of_test(store: Store) -> list[str]:
    """Parts whose names begin with ``test``: nothing with a label there is ever trained on."""
    return [part for part in store.parts if part.startswith("test")]


def rows_of_test(store: Store) -> np.ndarray:
    """int64 rows of all test videos, ascending."""
    parts = parts_of_test(store)
    return store.rows(*parts) if parts else np.arange(0)


def rank_target(fitted: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """``r = rankdata(fitted, "average")``, then min-max to [0, 1]; of other scores by interpolation, 0 or 1 beyond. float64,
    same shape as ``scores``. Raises ValueError: nothing is fitted.

    Fitted on the training pairs; the published code fits on all pairs, validation labels included (quirk A7-8).

    >>> rank_target(np.array([0.2, 0.2, 0.5, 1.0]), np.array([0.2, 0.5, 1.0])).tolist()
    [0.0, 0.6, 1.0]
    """
    if len(fitted) == 0:
        raise ValueError("rank targets need at least one training pair")
    ranks = rankdata(fitted, method="average")
    values, first = np.unique(fitted, return_index=True)
    return np.interp(scores, values, (ranks - ranks.min())[first] / (np.ptp(ranks) or 1.0))


def transform(kind: str, train: np.ndarray, validation: np.ndarray, *others: np.ndarray) -> tuple[np.ndarray, ...]:
    """Training, validation and further scores as targets. ``kind``: ``raw``, ``rank`` (fitted on the training pairs) or
    ``rank_all`` (on those and validation)."""
    if kind == "raw":
        return train, validation, *others
    fitted = np.concatenate([train, validation]) if kind == "rank_all" else train
    return tuple(rank_target(fitted, scores) for scores in (train, validation, *others))


def repeats(counts: np.ndarray, table: Sequence[tuple[int, int]]) -> np.ndarray:
    """How often a video of each category is seen in an epoch.

    Args:
        counts: int [C], videos per category.
        table: (size, times), sizes ascending: a category below the first size that exceeds it is repeated that often.

    >>> repeats(np.array([99, 100, 999, 1000]), [(100, 5), (500, 3), (1000, 2)]).tolist()
    [5, 3, 2, 1]
    """
    sizes = np.array([size for size, _ in table], np.int64)
    times = np.array([*(often for _, often in table), 1], np.int64)
    return times[np.searchsorted(sizes, counts, side="right")]


def resample(labels: np.ndarray, counted: np.ndarray, table: Sequence[tuple[int, int]]) -> np.ndarray:
    """Positions of the videos to train on, each as often as its category's size says. Returns int64 positions into
    ``labels``, ascending.

    Args:
        labels: int [M], categories of the training videos.
        counted: int, categories of the videos that make up the sizes: the training videos, or, as WeChat rank 72 does,
            the validation videos too (quirk R15).
    """
    if not table:
        return np.arange(len(labels))
    often = repeats(np.bincount(counted, minlength=int(labels.max(initial=0)) + 1), table)
    return np.repeat(np.arange(len(labels)), often[labels])


def tail(labels: np.ndarray, counts: np.ndarray, below: int, seed: int) -> np.ndarray:
    """Positions of the videos of categories with fewer than ``below`` videos, and of as many others, drawn once; ascending."""
    rare = counts[labels] < below
    others = np.random.default_rng(seed).permutation(np.flatnonzero(~rare))[: rare.sum()]
    return np.sort(np.concatenate([np.flatnonzero(rare), others]))


def fill(labels: np.ndarray, up_to: int, seed: int) -> np.ndarray:
    """Positions of the videos to train on: each once, and of categories below ``up_to`` videos more, drawn with replacement,
    until they have so many. int64, the drawn ones last. 5th of the WeChat final ([I] U9: the survey says resampled below 200).

    >>> np.bincount(np.array([0, 0, 0, 1])[fill(np.array([0, 0, 0, 1]), 3, 0)]).tolist()
    [3, 3]
    """
    generator, places = np.random.default_rng(seed), [np.arange(len(labels))]
    for c, count in enumerate(np.bincount(labels)):
        if 0 < count < up_to:
            places.append(generator.choice(np.flatnonzero(labels == c), up_to - count))
    return np.concatenate(places)
