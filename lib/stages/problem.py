"""What a job learns from and what it is judged on: training items, validation set, targets, teacher."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lib.data import splits
from lib.data.store import Store
from lib.data.targets import transform
from lib.evaluation.predict import pair_cosines
from lib.features.loader import Items
from lib.recipes.errors import RecipeError
from lib.recipes.job import Job
from lib.runs.folder import RunFolder


@dataclass(frozen=True)
class Problem:
    train: Items
    rows: np.ndarray  # int64 [V], videos to predict for validation
    pairs: np.ndarray | None = None  # int64 [P, 2] validation pairs, store rows
    score: np.ndarray | None = None  # float64 [P] human scores
    target: np.ndarray | None = None  # float64 [P] the same as training targets
    seen: np.ndarray | None = None  # bool [P]: the pair has a video that also occurs in a training pair
    truth: np.ndarray | None = None  # int64 [V] classes
    oracle: np.ndarray | None = None  # what the twin knows: affinity [P] or true class [V]


def pose(job: Job, store: Store) -> Problem:
    """Split, transform and, for distillation, look up the teacher.

    Raises:
        RecipeError: the corpus has nothing this stage could train on or be judged on.
    """
    data = job.stage_spec.data
    problem = _pairs(job, store) if data.items == "pairs" else _videos(job, store)
    if len(problem.train) < 2:
        raise RecipeError(
            f"{job.recipe} {job.stage}: corpus {job.corpus.label} has {len(problem.train)} training items in parts {list(data.parts)}; at least 2 are needed"
        )
    return problem


def split_pairs(
    job: Job, store: Store, stage: str | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """All pairs int64 [M, 2], scores [M], and the masks of training and validation pairs."""
    spec = job.spec.stages[stage or job.stage].data.split
    table = store.pairs()
    rows = table[["row1", "row2"]].to_numpy(np.int64)
    ids = store.column("id")
    id1, id2 = ids[rows[:, 0]], ids[rows[:, 1]]
    rule = {"both_mod_k": splits.both_mod_k, "strict_mod_k": splits.strict_mod_k, "components": splits.components}.get(
        spec.use
    )
    if rule is None:
        train, val = np.ones(len(rows), bool), np.zeros(len(rows), bool)
    else:
        train, val = rule(id1, id2, k=spec.k, fold=spec.fold)
    return rows, table["score"].to_numpy(np.float64), train, val


def _pairs(job: Job, store: Store) -> Problem:
    data = job.stage_spec.data
    rows, score, train, val = split_pairs(job, store)
    if not val.any():
        raise RecipeError(
            f"{job.recipe} {job.stage}: the split {data.split.use} (k={data.split.k}) leaves no validation pair of {len(rows)} in {job.corpus.label}"
        )
    train_target, val_target = transform(data.target, score[train], score[val])
    items = Items(rows[train], score=train_target.astype(np.float32), soft=_teacher_cosines(job, rows[train]))
    items = items.take(np.arange(len(items))[: data.limit])
    seen = np.isin(rows[val], rows[train]).any(axis=1)
    truth = store.truth()
    return Problem(
        train=items,
        rows=np.unique(rows),
        pairs=rows[val],
        score=score[val],
        target=val_target,
        seen=seen,
        oracle=None if truth is None else truth["oracle"].to_numpy()[val],
    )


def _teacher_cosines(job: Job, pairs: np.ndarray) -> np.ndarray | None:
    teacher = job.parents.get("teacher")
    if teacher is None:
        return None
    run: RunFolder = teacher.folder
    run.read_metrics(teacher.digest, f"Make it with: {teacher.command}")
    arrays = run.read_arrays(run.embeddings)
    missing = np.setdiff1d(pairs, arrays["rows"])
    if len(missing):
        raise RecipeError(
            f"teacher {job.stage_spec.teacher} of {job.recipe} embedded {len(arrays['rows'])} videos, but {len(missing)} training videos are not among them; rerun it: {teacher.command}"
        )
    return pair_cosines(arrays["rows"], arrays["vectors"], pairs).astype(np.float32)


def _videos(job: Job, store: Store) -> Problem:
    data, labels = job.stage_spec.data, store.categories().astype(np.int64)
    rows = store.rows(*[part for part in data.parts if part in set(store.parts)]) if data.parts else store.rows()
    order = {part: number for number, part in enumerate(data.parts)}
    if store.track == "pairs":  # tags are the labels; the published system validates on videos that it trains on
        known = store.tags_csr()[2]
        train = rows[known[rows]]
        held = store.rows("pairwise") if "pairwise" in set(store.parts) else train
        held = held[known[held]][: job.stage_spec.evaluation.limit]
        group = None
        if data.order == "parts":
            part = store.column("part")
            group = np.array([order[part[row]] for row in train])
        return Problem(
            train=Items(train[: data.limit], group=None if group is None else group[: data.limit]), rows=held
        )
    labelled = rows[labels[rows] >= 0]
    chosen = splits.random_split if data.split.use == "random" else splits.holdout
    train, val = chosen(labels[labelled], fraction=1 / data.split.k, seed=data.split.seed, fold=data.split.fold)
    truth = store.truth()
    held = labelled[val]
    return Problem(
        train=Items(labelled[train][: data.limit]),
        rows=held,
        truth=labels[held],
        oracle=None if truth is None else truth["true_category"].to_numpy()[held],
    )
