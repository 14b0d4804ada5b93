"""What a job learns from and what it is judged on: training items, validation set, targets, teacher."""

from dataclasses import dataclass

import numpy as np

from lib.data import splits
from lib.data.items import class_counts, fill, resample, rows_of, rows_of_test, split_rows, tail, transform
from lib.data.store import Store
from lib.evaluation.vectors import pair_cosines, pair_products, unit
from lib.features.loader import Items, KnownPairs
from lib.recipes.errors import RecipeError
from lib.recipes.job import Job
from lib.recipes.specs import SplitSpec
from lib.runs.folder import RunFolder
from lib.stages.pseudo import read_labels


@dataclass(frozen=True)
class Problem:
    """What a stage trains on and is judged on; ``rows`` int64 [V] are the videos to predict for validation. As it is:
    videos without labels, or with tags, judged by the loss of the objectives."""

    train: Items
    rows: np.ndarray


@dataclass(frozen=True)
class PairPart:
    """Pairs that a run is scored on."""

    pairs: np.ndarray  # int64 [P, 2] store rows
    score: np.ndarray  # float64 [P], as given
    target: np.ndarray  # float64 [P] the same as training targets
    seen: np.ndarray  # bool [P]: the pair has a video that also occurs in a training pair
    oracle: np.ndarray | None  # float64 [P], the affinity that a generated corpus knows

    def __len__(self) -> int:
        return len(self.score)


@dataclass(frozen=True)
class PairProblem(Problem):
    """Scored pairs of videos; ``parts`` are ``validation`` and, where the corpus has scored pairs there, ``test``."""

    parts: dict[str, PairPart]
    select: tuple[np.ndarray, np.ndarray, np.ndarray]  # pairs, scores, targets that a checkpoint is selected by

    def known_pairs(self) -> KnownPairs:
        """The label table of what trains, so that no label of validation or selection can be looked up."""
        assert self.train.score is not None
        return KnownPairs(self.train.rows, self.train.score)


@dataclass(frozen=True)
class ClassPart:
    """Videos that a run is scored on."""

    rows: np.ndarray  # int64 [V] store rows
    truth: np.ndarray  # int64 [V] classes
    oracle: np.ndarray | None  # int [V], the true class that a generated corpus knows

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True)
class ClassProblem(Problem):
    """Videos with a category each; ``parts`` are ``validation``, by which a checkpoint is selected, and, where the corpus
    has labels there, ``test``."""

    parts: dict[str, ClassPart]
    class_counts: np.ndarray  # int64 [C], videos of each category in the training part, repeats not counted


@dataclass(frozen=True)
class PairSplit:
    """All scored pairs of a corpus and what each is for; without ``hold`` selection and validation are the same pairs.
    A pair belongs to the part of its videos: one with a video of a test part is in no other mask."""

    pairs: np.ndarray  # int64 [M, 2] store rows
    score: np.ndarray  # float64 [M]
    train: np.ndarray  # bool [M]
    select: np.ndarray  # bool [M]: a checkpoint is selected by them
    val: np.ndarray  # bool [M]: held out of training and, with ``hold``, of selection
    test: np.ndarray  # bool [M]: both videos are of test parts


def make_problem(job: Job, store: Store) -> Problem:
    """Split, transform and, for distillation, look up the teacher. Raises RecipeError: the corpus has nothing this
    stage could train on or be judged on."""
    data = job.stage_spec.data
    problem = _pairs(job, store) if data.items == "pairs" else _videos(job, store)
    if len(problem.train) < 2:
        raise RecipeError(
            f"{job.recipe} {job.stage}: corpus {job.corpus.label} has {len(problem.train)} training items in parts {list(data.parts)}; at least 2 are needed"
        )
    return problem


RULES = {
    "both_mod_k": splits.both_mod_k,
    "strict_mod_k": splits.strict_mod_k,
    "components": splits.components,
    "kfold_components": splits.components,
}


def divide(spec: SplitSpec, id1: np.ndarray, id2: np.ndarray) -> splits.Split:
    """Training and validation pairs as a recipe asks; everything trains where it asks for no split."""
    if spec.use in RULES:
        return RULES[spec.use](id1, id2, k=spec.k, fold=spec.fold)
    if spec.use == "thinned_mod_k":
        return splits.thinned_mod_k(id1, id2, k=spec.k, fold=spec.fold, seed=spec.seed)
    if spec.use == "kfold_rows":
        return splits.kfold_rows(len(id1), k=spec.k, fold=spec.fold, seed=spec.seed)
    return splits.Split(np.ones(len(id1), bool), np.zeros(len(id1), bool))


def split_pairs(job: Job, store: Store) -> PairSplit:
    """The pairs of a corpus as the job's stage cuts them."""
    data = job.stage_spec.data
    table = store.pairs()
    rows, score = table[["row1", "row2"]].to_numpy(np.int64), table["score"].to_numpy(np.float64)
    ids = store.column("id")
    id1, id2 = ids[rows[:, 0]], ids[rows[:, 1]]
    ends = np.isin(rows, rows_of_test(store))
    train, select, val = (np.zeros(len(rows), bool) for _ in range(3))
    own = ~ends.any(axis=1)  # what a recipe's rules divide
    first, second = divide(data.hold or data.split, id1[own], id2[own])
    if data.hold is None:
        train[own], select[own] = first, second
    else:
        rest = np.flatnonzero(own)[first]
        train[rest], select[rest] = divide(data.split, id1[rest], id2[rest])
    val[own] = second
    return PairSplit(rows, score, train, select, val, np.asarray(ends.all(axis=1)))


def _pairs(job: Job, store: Store) -> PairProblem:
    data, split = job.stage_spec.data, split_pairs(job, store)
    rows, score, train, val = split.pairs, split.score, split.train, split.val
    other = ~train & ~split.test
    for what, mask, rule in (("validation", val, data.hold or data.split), ("selection", split.select, data.split)):
        if not mask.any():
            raise RecipeError(
                f"{job.recipe} {job.stage}: the split {rule.use} (k={rule.k}) leaves no {what} pair of {len(rows)} in {job.corpus.label}"
            )
    for what, mask in (("training", train), ("selection", split.select), ("validation", val), ("test", split.test)):
        if mask.any() and np.ptp(score[mask]) == 0:
            raise RecipeError(
                f"{job.recipe} {job.stage}: all {what} pairs of {job.corpus.label} ({mask.sum()}) have the score {score[mask][0]:g}, "
                "so they cannot be ranked; at least two scores are needed"
            )
    target = np.empty(len(rows))
    masks = (train, other, split.test)
    for mask, values in zip(masks, transform(data.target, *(score[mask] for mask in masks)), strict=True):
        target[mask] = values
    soft = _teacher_cosines(job, store, rows, train)
    items = Items(rows[train], score=target[train].astype(np.float32), soft=soft)
    truth = store.truth()
    oracle = None if truth is None else truth["oracle"].to_numpy()
    seen = np.any(np.isin(rows, rows[train]), axis=1)

    def part(mask: np.ndarray) -> PairPart:
        return PairPart(rows[mask], score[mask], target[mask], seen[mask], None if oracle is None else oracle[mask])

    return PairProblem(
        train=items.take(np.arange(len(items))[: data.limit]),
        rows=np.unique(rows),
        parts={"validation": part(val)} | ({"test": part(split.test)} if split.test.any() else {}),
        select=(rows[split.select], score[split.select], target[split.select]),
    )


def _teacher_cosines(job: Job, store: Store, rows: np.ndarray, train: np.ndarray) -> np.ndarray | None:
    """float32 [training pairs]: what the teacher thinks of each, or None without one. With folds: the inner product of
    the means of all folds' unit vectors (``mean``, as AIAC rank 6 does: four of five have been trained on the pair,
    quirk B7-6), or of the vectors of the one fold that has not (``oof``)."""
    teachers = job.teachers
    if not teachers:
        return None
    pairs = rows[train]
    found = [_vectors(job, teacher, pairs) for teacher in teachers]
    if job.stage_spec.teacher_folds != "oof":
        rows, vectors = found[0]
        if len(found) == 1:
            return pair_cosines(rows, vectors, pairs).astype(np.float32)
        mean = np.mean([unit(unit(vectors).astype(np.float64)) for _, vectors in found], axis=0)
        return pair_products(rows, mean, pairs).astype(np.float32)  # the mean is not scaled again, as published
    soft = np.zeros(len(pairs), np.float32)
    for teacher, (known, vectors) in zip(teachers, found, strict=True):
        unseen = split_pairs(teacher, store).select[train]
        soft[unseen] = pair_cosines(known, vectors, pairs[unseen])
    return soft


def _vectors(job: Job, teacher: Job, pairs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    run: RunFolder = teacher.folder
    run.read_metrics(teacher.digest, f"Make it with: {teacher.command}")
    arrays = run.read_arrays(run.embeddings)
    missing = np.setdiff1d(pairs, arrays["rows"])
    if len(missing):
        raise RecipeError(
            f"teacher {job.stage_spec.teacher} of {job.recipe} embedded {len(arrays['rows'])} videos, but {len(missing)} training videos are not among them; rerun it: {teacher.command}"
        )
    return arrays["rows"], arrays["vectors"]


def _videos(job: Job, store: Store) -> Problem:
    data, limit = job.stage_spec.data, job.stage_spec.evaluation.limit
    rows = rows_of(store, data.parts)
    if store.track == "pairs":  # tags are the labels; the published system validates on videos that it trains on
        known = store.tags_csr()[2]
        train = rows if data.unlabeled else rows[known[rows]]
        held = store.rows("pairwise") if "pairwise" in set(store.parts) else train
        group = None
        if data.order == "parts":
            part, order = store.column("part"), {part: number for number, part in enumerate(data.parts)}
            group = np.array([order[name] for name in part[train]])[: data.limit]
        return Problem(Items(train[: data.limit], group=group), held[known[held]][:limit])
    if data.unlabeled:  # nothing but what the videos themselves hold is learnt, and judged by
        labels, size = store.categories().astype(np.int64), 1 / data.split.k
        if (pseudo := read_labels(job, store)) is not None:
            rows = np.intersect1d(rows, pseudo.rows)
        train, val = splits.random_split(labels[rows], fraction=size, seed=data.split.seed, fold=data.split.fold)
        return Problem(Items(rows[train][: data.limit]), rows[val][:limit])
    return _classes(job, store)


def _classes(job: Job, store: Store) -> ClassProblem:
    data, labels = job.stage_spec.data, store.categories().astype(np.int64)
    split = data.split
    train, held = split_rows(store, data.parts, use=split.use, k=split.k, fold=split.fold, seed=split.seed)
    if len(known := np.unique(labels[np.concatenate([train, held])])) == 1:
        name = store.manifest["categories"][known[0]]
        raise RecipeError(
            f"{job.recipe} {job.stage}: all labelled videos of {job.corpus.label} that are of no test part are of the category "
            f"{name!r}; at least two are needed"
        )
    counted = labels[train if data.resample_counts == "train" else np.concatenate([train, held])]
    truth, test = store.truth(), rows_of_test(store)
    true = None if truth is None else truth["true_category"].to_numpy()
    seen = train[resample(labels[train], counted, data.resample)]
    if data.tail:
        seen = seen[tail(labels[seen], class_counts(store, train), data.tail, split.seed)]
    seen = seen[fill(labels[seen], data.fill, split.seed)]
    if (pseudo := read_labels(job, store)) is not None:
        seen = np.concatenate([seen, pseudo.rows])
    judged = {"validation": held, "test": test[labels[test] >= 0]}
    return ClassProblem(
        train=Items(seen[: data.limit]),
        rows=held,
        parts={
            name: ClassPart(rows, labels[rows], None if true is None else true[rows])
            for name, rows in judged.items()
            if name == "validation" or len(rows)
        },
        class_counts=class_counts(store, train),
    )
