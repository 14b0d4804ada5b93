"""One ensemble: predictions of finished runs, joined; its score, what each member adds, and other ways of joining them.

Where members were scored on a labelled test part, the best member is chosen and weights are learned on validation.
Elsewhere a way that learns from scored pairs is cross-fitted. Intervals are over the scored items, the same bootstrap
samples for all that is compared.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import EllipsisType
from typing import Any

import numpy as np
import pandas as pd

from lib.data.items import rows_of_test
from lib.data.schema import CategoryTree
from lib.data.store import Store
from lib.evaluation.ensemble import crossfit, pair_folds
from lib.evaluation.intervals import difference, interval, mean_f1_draws, spearman_draws
from lib.evaluation.metrics import mean_f1, spearman
from lib.evaluation.vectors import cosines, unit
from lib.recipes.bind import arguments, bind, context_names
from lib.recipes.errors import RecipeError
from lib.recipes.job import Job
from lib.recipes.specs import Component, EnsembleSpec, SubmissionSpec
from lib.runs.files import write_text
from lib.runs.folder import MissingRun, RunFolder
from lib.runs.kinds import KINDS
from lib.runs.paths import shown
from lib.stages.result_files import write_embeddings
from lib.stages.scoring import FEWEST

ALL, UNSEEN = "all", "unseen"


@dataclass(frozen=True)
class Judged:
    """Items that all members share, and how what is predicted of them is scored. Predictions are cosines float [P] of
    pairs, or level-2 classes int [V] where there are no pairs."""

    rows: np.ndarray  # int64 [N] store rows of all that members predict
    ids: np.ndarray
    truth: np.ndarray  # scores of pairs or classes of videos
    pairs: np.ndarray | None = None  # int64 [P, 2] positions in ``rows``
    seen: np.ndarray | None = None  # bool [P]: one of the members trained on a pair with one of its videos
    level1: np.ndarray | None = None  # int [C], classes only
    videos: np.ndarray | EllipsisType = ...  # int64 [V] positions in ``rows``, classes only; all of them
    validation: "Judged | None" = None  # where these items are of a test part: those that anything is chosen by

    @property
    def part(self) -> str:
        return "validation" if self.validation is None else "test"

    @property
    def chooser(self) -> "Judged":
        """The items by which members are ordered and from which weights are learned."""
        return self.validation or self

    @property
    def primary(self) -> str:
        return KINDS["classes" if self.pairs is None else "pairs"].metric

    @property
    def parts(self) -> dict[str, np.ndarray]:
        """Name -> mask of items: all, and the pairs whose videos are new to all members, if there are enough."""
        parts = {ALL: np.ones(len(self.truth), bool)}
        if self.validation is None and self.seen is not None and (~self.seen).sum() >= FEWEST:
            parts[UNSEEN] = ~self.seen
        return parts

    def predicted(self, values: np.ndarray) -> np.ndarray:
        """Cosines of the pairs from vectors [N, E], or classes from logits [V, C]."""
        return values[self.videos].argmax(axis=1) if self.pairs is None else cosines(values, self.pairs)

    def scores(self, predicted: np.ndarray, part: str = ALL) -> dict[str, float]:
        mask = self.parts[part]
        if self.level1 is None:
            return {"spearman": spearman(predicted[mask], self.truth[mask])}
        return mean_f1(self.truth[mask], predicted[mask], self.level1)

    def score(self, predicted: np.ndarray, part: str = ALL) -> float:
        return self.scores(predicted, part)[self.primary]

    def draws(self, predicted: np.ndarray, part: str = ALL) -> np.ndarray:
        """float64 [DRAWS]: scores on bootstrap samples of a part, the same ones whatever is predicted."""
        mask = self.parts[part]
        if self.pairs is not None:
            return spearman_draws(predicted[mask], self.truth[mask], self.pairs[mask])
        assert self.level1 is not None
        return mean_f1_draws(predicted[mask], self.truth[mask], self.level1)


@dataclass(frozen=True)
class Joined:
    """What several members say together of N videos, V classes or P pairs."""

    values: np.ndarray  # vectors [N, E] or logits [V, C]; of what is learned from pairs: learned from all of them
    predicted: np.ndarray  # what is judged; of what is learned from pairs: each pair by a fit without its fold
    inside: np.ndarray | None = None  # predictions of what was learned from the judged pairs themselves


Join = Callable[[Sequence[np.ndarray]], Joined]


@dataclass(frozen=True)
class Result:
    """What ``06_ensemble`` writes.

    ``members``, best first: member; score, low, high, unseen of the member alone; without (score of all others), gain; and
    growth with the suffixes of ``_compared`` for the ensemble of the members up to it. ``kinds``: kind, role (specified,
    also, best member), note, the columns of ``_compared``, inside (score of what learned from the judged pairs), width.
    """

    metrics: dict[str, Any]
    members: pd.DataFrame
    kinds: pd.DataFrame
    similarity: np.ndarray  # [M, M] rank correlation of what each two members predict, in the order of ``members``
    arrays: dict[str, np.ndarray]  # ids, rows and vectors and test (pairs) or logits and truth (classes)


def combine(
    name: str, spec: EnsembleSpec, members: Mapping[str, Sequence[Job]], submission: SubmissionSpec, where: str
) -> Result:
    """Join the members of an ensemble, score it, and score it again without each, as it grows and joined otherwise.

    Raises MissingRun: a member is absent or stale; names it and its command; ValueError: members were scored on
    different items, or cannot be joined as the file says. ``members``: label -> its runs, finished; more than one are
    folds.
    """
    jobs = [job for group in members.values() for job in group]
    metrics = [job.folder.read_metrics(job.digest, f"Make it with: {job.command}") for job in jobs]
    judged, values = read_members(members)
    result = judge(spec, judged, list(members), values, f"{where}: ")
    made_of = [{"folder": shown(job.folder.path), "digest": job.digest} for job in jobs]
    result.metrics.update(ensemble=name, oracle=metrics[0]["oracle"], members=made_of)
    if judged.pairs is not None:
        test = rows_of_test(Store.open(jobs[0].corpus.store))
        result.arrays["test"] = np.isin(judged.rows, test)
        result.metrics.update(submission=submission.model_dump(), scaled=spec.scaled)
    return result


def read_members(members: Mapping[str, Sequence[Job]]) -> tuple[Judged, list[np.ndarray]]:
    """What is judged, and each member's vectors as its model gave them (not scaled), or logits. A member of several
    folds is the mean of their unit vectors (AIAC rank 6 handed in such means), or of their logits. Raises ValueError:
    members were scored on different items."""
    jobs = [job for group in members.values() for job in group]
    store, of_pairs = Store.open(jobs[0].corpus.store), jobs[0].kind.name == "pairs"
    found = []
    for job in jobs:
        run = job.folder
        found.append(run.read_arrays(run.embeddings if of_pairs else run.predictions))
        if of_pairs:
            found[-1] |= run.read_arrays(run.path / "pairs.npz")
        if any(not np.array_equal(found[-1][key], found[0][key]) for key in ("rows", "pairs") if key in found[0]):
            raise ValueError(
                f"{shown(run.path)} was scored on other items than {shown(jobs[0].folder.path)}; members need one split"
            )
    first, rows, judged = found[0], found[0]["rows"], None
    ids = store.column("id")[rows].astype(str)
    seen = np.any([arrays["seen"] for arrays in found], axis=0) if of_pairs else None
    for mask in filter(np.any, (~first["test"], first["test"])):  # validation first, by which members are chosen
        if seen is not None:
            pairs, truth = np.searchsorted(rows, first["pairs"][mask]), first["score"][mask]
            judged = Judged(rows, ids, truth, pairs, seen[mask], validation=judged)
        else:
            videos, truth = np.flatnonzero(mask), first["truth"][mask]
            level1 = CategoryTree([str(name) for name in store.manifest["categories"]]).level1_of_level2
            judged = Judged(rows, ids, truth, level1=level1, videos=videos, validation=judged)
    assert judged is not None, "a run is scored on something"
    loaded = iter([arrays["vectors"].astype(np.float64) if of_pairs else arrays["logits"] for arrays in found])
    folds = [[next(loaded) for _ in group] for group in members.values()]
    scaled = unit if of_pairs else np.asarray
    return judged, [own[0] if len(own) == 1 else np.mean([scaled(values) for values in own], axis=0) for own in folds]


def joiner(component: Component, judged: Judged, where: str) -> Join:
    """Bind a way of joining; one that asks for ``pairs`` and ``scores`` by its signature learns from validation, and is
    cross-fitted where that is what it is scored on. ``where``: the key in YAML, for errors. Raises RecipeError: unknown
    component or argument, or one that learns from pairs where classes are judged."""
    arguments("evaluation", component, where)  # an unknown component is refused before its signature is read
    learns = bool(context_names("evaluation", component.use))
    if learns and judged.pairs is None:
        raise RecipeError(f"{where}: {component.use} learns from scored pairs, and these members predict classes")

    def made(pairs: np.ndarray | None, scores: np.ndarray) -> Callable[[Sequence[np.ndarray]], np.ndarray]:
        return bind("evaluation", component, {"pairs": pairs, "scores": scores}, where)

    combiner, pairs = made(judged.chooser.pairs, judged.chooser.truth), judged.pairs

    def join(members: Sequence[np.ndarray]) -> Joined:
        values = combiner(members)
        if not learns or pairs is None or judged.validation is not None:
            return Joined(values, judged.predicted(values))
        outside = crossfit(made, members, pairs, judged.truth, pair_folds(pairs).of)
        return Joined(values, outside, judged.predicted(values))

    return join


def judge(spec: EnsembleSpec, judged: Judged, names: list[str], values: list[np.ndarray], where: str = "") -> Result:
    """``combine`` of members that are at hand. ``names``, ``values``: the members and their vectors [N, E_m] or logits
    [V, C]."""
    best_first = np.argsort([-judged.chooser.score(judged.chooser.predicted(value)) for value in values], kind="stable")
    order: list[int] = best_first.tolist()
    singles = {names[i]: Joined(values[i], judged.predicted(values[i])) for i in order}

    def join(component: Component, key: str, kept: Sequence[int] = order) -> Joined:
        return joiner(_weighing(component, kept, len(values)), judged, f"{where}{key}")([values[i] for i in kept])

    joined = join(spec.combine, "combine")
    kinds = _kinds(judged, singles, joined, spec, join)
    specified = kinds.to_dict("records")[0]
    metrics: dict[str, Any] = {
        "schema": 2,
        "combine": spec.combine.model_dump(),
        "also": [component.model_dump() for component in spec.also],
        "primary": judged.primary,
        "scores": {judged.part: judged.scores(joined.predicted)},
        "intervals": {judged.primary: [float(specified["low"]), float(specified["high"])]},
        "items": {judged.part: len(judged.truth)},
    }
    arrays = {"ids": judged.ids, "rows": judged.rows, "vectors": joined.values}
    if judged.pairs is None:
        kept = {"ids": judged.ids, "rows": judged.rows, "logits": joined.values}
        arrays = {name: array[judged.videos] for name, array in kept.items()} | {"truth": judged.truth}
    else:
        metrics["items"]["unseen"] = len(judged.truth) if judged.seen is None else int((~judged.seen).sum())
        if np.any(kinds["inside"].notna()):
            metrics["folds_of"] = pair_folds(judged.pairs).grouped_by
        if UNSEEN in judged.parts:
            metrics["scores"][UNSEEN] = judged.scores(joined.predicted, UNSEEN)
    members = _members(
        judged, singles, joined, lambda kept: join(spec.combine, "combine", [order[place] for place in kept])
    )
    return Result(metrics, members, kinds, _similarity(judged, singles), arrays)


def _weighing(component: Component, kept: Sequence[int], many: int) -> Component:
    """The same way of joining for some of ``many`` members, in their order: a weight that it names is of one member."""
    weights = component.arguments.get("weights")
    if weights is None or len(weights) != many:  # which it refuses itself
        return component
    return Component(use=component.use, **{**component.arguments, "weights": [weights[i] for i in kept]})


def _compared(judged: Judged, singles: Mapping[str, Joined], others: Sequence[Joined]) -> pd.DataFrame:
    """Scores, intervals and differences from the best member, for all items and for the unseen ones.

    ``singles``: members, best by ``judged.chooser`` first. Returns a row for each of ``others``: ``score, low, high``,
    ``best`` (member), ``best_score, difference, difference_low, difference_high, verdict``, and the same with the
    prefix ``unseen_`` where there is such a part (its score is ``unseen``).
    """
    rows: list[dict[str, Any]] = [{} for _ in others]
    for part in judged.parts:
        prefix = "" if part == ALL else f"{part}_"
        alone = {name: judged.score(single.predicted, part) for name, single in singles.items()}
        best = max(alone, key=alone.__getitem__) if judged.validation is None else next(iter(alone))
        reference = judged.draws(singles[best].predicted, part)
        for row, other in zip(rows, others, strict=True):
            score, draws = judged.score(other.predicted, part), judged.draws(other.predicted, part)
            (low, high), than = interval(draws), difference(score, alone[best], draws, reference)
            columns = {"low": low, "high": high, "best": best, "best_score": alone[best], "difference": than.mean}
            columns |= {"difference_low": than.low, "difference_high": than.high, "verdict": than.verdict}
            row[UNSEEN if prefix else "score"] = score
            row |= {prefix + name: value for name, value in columns.items()}
    return pd.DataFrame(rows)


def _kinds(
    judged: Judged,
    singles: Mapping[str, Joined],
    joined: Joined,
    spec: EnsembleSpec,
    join: Callable[[Component, str], Joined],
) -> pd.DataFrame:
    """As specified first, then the other ways, then the best member alone; a way that these members do not allow (widths
    differ) has no score but a ``note``."""
    rows: list[dict[str, Any]] = [{"kind": label(spec.combine), "role": "specified", "note": ""}]
    ways = {0: joined}
    for number, component in enumerate(spec.also, start=1):
        note = ""
        try:
            ways[number] = join(component, f"also[{number - 1}]")
        except ValueError as error:
            note = str(error)
        rows.append({"kind": label(component), "role": "also", "note": note})
    best = next(iter(singles))
    ways[len(rows)] = singles[best]
    rows.append({"kind": best, "role": "best member", "note": ""})
    compared = _compared(judged, singles, list(ways.values()))
    compared["inside"] = [None if way.inside is None else judged.score(way.inside) for way in ways.values()]
    compared["width"] = [way.values.shape[1] for way in ways.values()]
    return pd.DataFrame(rows).join(compared.set_axis(list(ways)))


def _members(
    judged: Judged, singles: Mapping[str, Joined], joined: Joined, join: Callable[[list[int]], Joined]
) -> pd.DataFrame:
    """Each member alone, what the ensemble loses without it, and the ensemble of the members up to it."""
    every, final = list(range(len(singles))), judged.score(joined.predicted)
    alone = _compared(judged, singles, list(singles.values()))
    frame = alone[["score", "low", "high", *([UNSEEN] if UNSEEN in alone else [])]].copy()
    frame.insert(0, "member", list(singles))
    others = [every[:number] + every[number + 1 :] for number in every]
    frame["without"] = [judged.score(join(rest).predicted) if rest else float("nan") for rest in others]
    frame["gain"] = final - frame["without"]
    grown = [*(join(every[: number + 1]) for number in every[:-1]), joined]
    growth = _compared(judged, singles, grown).drop(columns=["best", "unseen_best"], errors="ignore")
    return frame.join(growth.rename(columns=lambda column: "growth" if column == "score" else f"growth_{column}"))


def _similarity(judged: Judged, singles: Mapping[str, Joined]) -> np.ndarray:
    """Rank correlation of each two members: of their cosines, or of all their logits."""
    flat = [s.values.ravel() if judged.pairs is None else s.predicted for s in singles.values()]
    return np.array([[1.0 if a is b else spearman(a, b) for b in flat] for a in flat])


def label(component: Component) -> str:
    """
    >>> label(Component(use="ConcatSvd", dim=64, fit="reference"))
    'ConcatSvd, dim 64, fit reference'
    """
    plain = {True: "yes", False: "no"}
    given = component.arguments.items()
    return ", ".join([component.use, *(f"{n} {plain[v] if isinstance(v, bool) else v}" for n, v in given)])


def write(result: Result, folder: Path) -> Path:
    """``members.csv``, ``kinds.csv``, ``similarity.csv``, ``embeddings.npz`` or ``predictions.npz``, ``result.zip`` of the
    test videos as the team handed it in, and last ``metrics.json``."""
    run, arrays = RunFolder(folder), result.arrays
    similarity = pd.DataFrame(result.similarity, columns=list(result.members["member"]))
    for name, frame in (("members", result.members), ("kinds", result.kinds), ("similarity", similarity)):
        write_text(folder / f"{name}.csv", frame.to_csv(index=False, lineterminator="\n"))
    run.write_arrays(run.embeddings if "vectors" in arrays else run.predictions, **arrays)
    if "test" in arrays and arrays["test"].any():
        ids, vectors = arrays["ids"][arrays["test"]].tolist(), arrays["vectors"][arrays["test"]]
        vectors = unit(vectors) if result.metrics["scaled"] else vectors
        write_embeddings(folder / "result.zip", ids, vectors, **result.metrics["submission"])
    run.finish(result.metrics)
    return run.metrics


def read(folder: Path, spec: EnsembleSpec, members: Sequence[Job], remedy: str) -> Result:
    """An ensemble that ``write`` has written. ``members``: the runs it must be made from; remedy: the command that
    makes it. Raises MissingRun: it is not there, or its file or its members have changed since."""
    run = RunFolder(folder)
    metrics = run.read_metrics(remedy=remedy)
    if [member["digest"] for member in metrics["members"]] != [job.digest for job in members]:
        raise MissingRun(f"{shown(folder)}: made from other members than the plan's. {remedy}")
    ways = [spec.combine.model_dump(), [component.model_dump() for component in spec.also]]
    if [metrics["combine"], metrics.get("also")] != ways:
        raise MissingRun(f"{shown(folder)}: joined in other ways than its file says. {remedy}")
    arrays = run.read_arrays(run.embeddings if run.embeddings.exists() else run.predictions)
    table, kinds = (pd.read_csv(folder / f"{n}.csv", float_precision="round_trip") for n in ("members", "kinds"))
    kinds["note"] = kinds["note"].fillna("")
    return Result(metrics, table, kinds, pd.read_csv(folder / "similarity.csv").to_numpy(), arrays)
