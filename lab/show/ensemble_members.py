"""What an ensemble is made of and judged by: the members' predictions, aligned, and the items they share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lab.show import predictions
from lib.data.store import Store
from lib.data.vocabulary import CategoryTree
from lib.evaluation.metrics import mean_f1, spearman
from lib.evaluation.paired import mean_f1_draws, spearman_draws
from lib.evaluation.vectors import cosines
from lib.recipes.job import Job
from lib.runs.paths import shown

FEWEST = 10  # pairs that a rank correlation is told of

ALL, UNSEEN = "all", "unseen"


@dataclass(frozen=True)
class Judged:
    """Validation items that all members share, and how what is predicted of them is scored.

    Predictions are cosines float [P] of pairs, or level-2 classes int [V].
    """

    kind: str  # "pairs" or "classes"
    rows: np.ndarray
    ids: np.ndarray
    truth: np.ndarray  # scores of pairs or classes of videos
    pairs: np.ndarray | None = None  # int64 [P, 2] positions in ``rows``
    seen: np.ndarray | None = None  # bool [P]: one of the members trained on a pair with one of its videos
    level1: np.ndarray | None = None

    @property
    def primary(self) -> str:
        return "spearman" if self.kind == "pairs" else "mean_f1"

    @property
    def parts(self) -> dict[str, np.ndarray]:
        """Name -> mask of items: all, and the pairs whose videos are new to all members, if there are enough."""
        parts = {ALL: np.ones(len(self.truth), bool)}
        if self.seen is not None and (~self.seen).sum() >= FEWEST:
            parts[UNSEEN] = ~self.seen
        return parts

    def predicted(self, values: np.ndarray) -> np.ndarray:
        """Cosines of the pairs from vectors [N, E], or classes from logits [V, C]."""
        return values.argmax(axis=1) if self.pairs is None else cosines(values, self.pairs)

    def scores(self, predicted: np.ndarray, part: str = ALL) -> dict[str, float]:
        mask = self.parts[part]
        if self.level1 is None:
            return {"spearman": spearman(predicted[mask], self.truth[mask])}
        return mean_f1(self.truth[mask], predicted[mask], self.level1)

    def score(self, predicted: np.ndarray, part: str = ALL) -> float:
        return self.scores(predicted, part)[self.primary]

    def draws(self, predicted: Sequence[np.ndarray], part: str = ALL) -> np.ndarray:
        """float64 [K, draws]: scores of K predictions on the same bootstrap samples of a part."""
        mask, values = self.parts[part], np.stack(list(predicted))
        if self.pairs is not None:
            return spearman_draws(values[:, mask], self.truth[mask], self.pairs[mask])
        assert self.level1 is not None  # there for classes
        return mean_f1_draws(values[:, mask], self.truth[mask], self.level1)


def load(members: dict[str, list[Job]]) -> tuple[Judged, list[np.ndarray]]:
    """What is judged, and each member's vectors as its model gave them (not scaled), or logits.

    A member of several folds is the mean of their unit vectors, or of their logits.

    Raises:
        ValueError: members were validated on different items.
    """
    jobs = [job for group in members.values() for job in group]
    judged, loaded = _aligned(jobs)
    behind = iter(loaded)
    return judged, [_mean([next(behind) for _ in group], judged.kind) for group in members.values()]


def _aligned(jobs: Sequence[Job]) -> tuple[Judged, list[np.ndarray]]:
    store = Store.open(jobs[0].corpus.store)
    if predictions.kind(jobs[0].folder) == "pairs":
        found = [predictions.of_pairs(job.folder) for job in jobs]
        loaded = [predictions.embeddings(job.folder) for job in jobs]
        _same([result.pairs for result in found], jobs)
        _same([rows for rows, _ in loaded], jobs)
        rows = loaded[0][0]
        pairs = np.stack([predictions.positions(rows, found[0].pairs[:, side]) for side in (0, 1)], axis=1)
        seen = np.any([result.seen for result in found], axis=0)
        ids = store.column("id")[rows].astype(str)
        return Judged("pairs", rows, ids, found[0].score, pairs, seen), [vectors for _, vectors in loaded]
    results = [predictions.of_classes(job.folder) for job in jobs]
    _same([result.rows for result in results], jobs)
    tree = CategoryTree([str(name) for name in store.manifest["categories"]])
    rows = results[0].rows
    judged = Judged(
        "classes", rows, store.column("id")[rows].astype(str), results[0].truth, level1=tree.level1_of_level2
    )
    return judged, [result.logits for result in results]


def _same(arrays: list[np.ndarray], jobs: Sequence[Job]) -> None:
    for array, job in zip(arrays[1:], jobs[1:], strict=True):
        if not np.array_equal(array, arrays[0]):
            raise ValueError(
                f"{shown(job.folder.path)} was validated on other items than {shown(jobs[0].folder.path)}; "
                "members need one split"
            )


def _mean(folds: Sequence[np.ndarray], kind: str) -> np.ndarray:
    """One member of its folds (AIAC rank 6 submits such means)."""
    if len(folds) == 1:
        return folds[0]
    return np.mean(
        [predictions.unit(value.astype(np.float64)) if kind == "pairs" else value for value in folds], axis=0
    )
