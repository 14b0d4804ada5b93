"""One ensemble: members' predictions in, one score out, and what each member adds to it."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lib.data.store import Store
from lib.data.vocabulary import CategoryTree
from lib.evaluation.intervals import interval_of_mean_f1, interval_of_spearman
from lib.evaluation.metrics import mean_f1, spearman
from lib.recipes import components
from lib.recipes.job import Job
from lib.recipes.load import file_of
from lib.recipes.plan import Plan
from lib.recipes.specs import EnsembleSpec
from lib.reporting import gather, predictions
from lib.runs import paths
from lib.runs.files import read_json, write_json, write_text
from lib.runs.folder import MissingRun, RunFolder
from lib.runs.paths import shown


@dataclass(frozen=True)
class Result:
    """``members`` best first: member, score, without (score of all others), gain, growth (score up to here)."""

    metrics: dict[str, Any]
    members: pd.DataFrame
    similarity: np.ndarray  # [M, M] rank correlation of what each two members predict, in the order of ``members``
    arrays: dict[str, np.ndarray]  # ids, rows and vectors (pairs) or logits and truth (classes)


@dataclass(frozen=True)
class Judged:
    """Validation items that all members share, and how a set of members is scored on them."""

    kind: str  # "pairs" or "classes"
    rows: np.ndarray
    ids: np.ndarray
    truth: np.ndarray  # scores of pairs or classes of videos
    pairs: np.ndarray | None = None  # int64 [P, 2] positions in ``rows``
    level1: np.ndarray | None = None

    @property
    def primary(self) -> str:
        return "spearman" if self.kind == "pairs" else "mean_f1"

    def predicted(self, values: np.ndarray) -> np.ndarray:
        """Cosines of the pairs, or classes."""
        if self.pairs is None:
            return values.argmax(axis=1)
        unit = predictions.unit(values.astype(np.float64))
        return np.einsum("pe,pe->p", unit[self.pairs[:, 0]], unit[self.pairs[:, 1]])

    def scores(self, values: np.ndarray) -> dict[str, float]:
        if self.level1 is None:
            return {"spearman": spearman(self.predicted(values), self.truth)}
        return mean_f1(self.truth, self.predicted(values), self.level1)

    def interval(self, values: np.ndarray) -> list[float]:
        if self.pairs is not None:
            return list(interval_of_spearman(self.predicted(values), self.truth, self.pairs))
        assert self.level1 is not None  # there for classes
        return list(interval_of_mean_f1(self.truth, self.predicted(values), self.level1))


def folder(plan: Plan, name: str) -> Path:
    return paths.runs(plan.scale, plan.corpus) / "ensembles" / name


def combine(plan: Plan, name: str) -> Result:
    """Join the members of an ensemble, score it, and score it again without each and as it grows.

    Raises:
        KeyError: the plan has no such ensemble.
        MissingRun: a member is absent or stale; names it and its ``make`` line.
        ValueError: members were validated on different items.
    """
    if name not in plan.ensembles:
        raise KeyError(f"no ensemble {name!r} in this plan; it has: {', '.join(plan.ensembles) or 'none'}")
    spec, members, jobs = plan.ensembles[name], plan.ensemble_members(name), plan.ensemble_jobs(name)
    metrics = [gather.metrics_of(job) for job in jobs]
    judged, loaded = _members(jobs)
    behind = iter(loaded)
    values = [_mean([next(behind) for _ in group], judged.kind) for group in members.values()]
    joined = _combiner(name, spec)
    alone = [judged.scores(value)[judged.primary] for value in values]
    order = np.argsort(-np.array(alone), kind="stable")
    values, names = [values[i] for i in order], [list(members)[i] for i in order]
    both = joined(values)
    final = judged.scores(both)
    rows = []
    for number, value in enumerate(values):
        others = values[:number] + values[number + 1 :]
        without = judged.scores(joined(others))[judged.primary] if others else float("nan")
        growth = judged.scores(joined(values[: number + 1]))[judged.primary]
        rows.append(
            {
                "member": names[number],
                "score": judged.scores(value)[judged.primary],
                "without": without,
                "gain": final[judged.primary] - without,
                "growth": growth,
            }
        )
    result = {
        "schema": 1,
        "ensemble": name,
        "combine": spec.combine.model_dump(),
        "primary": judged.primary,
        "scores": {"validation": final},
        "intervals": {judged.primary: judged.interval(both)},
        "oracle": metrics[0]["oracle"],
        "members": [{"folder": shown(job.folder.path), "digest": job.digest} for job in jobs],
    }
    arrays = {
        "ids": judged.ids,
        "rows": judged.rows,
        **({"vectors": both} if judged.kind == "pairs" else {"logits": both, "truth": judged.truth}),
    }
    return Result(result, pd.DataFrame(rows), _similarity(judged, values), arrays)


def write(result: Result, folder: Path) -> Path:
    """``members.csv``, ``similarity.csv``, ``embeddings.npz`` or ``predictions.npz``, and last ``metrics.json``."""
    run = RunFolder(folder)
    write_text(folder / "members.csv", result.members.to_csv(index=False, lineterminator="\n"))
    write_text(
        folder / "similarity.csv",
        pd.DataFrame(result.similarity, columns=result.members["member"]).to_csv(index=False, lineterminator="\n"),
    )
    run.write_arrays(run.embeddings if "vectors" in result.arrays else run.predictions, **result.arrays)
    return write_json(run.metrics, result.metrics)


def read(plan: Plan, name: str) -> Result:
    """An ensemble that ``06_ensemble`` has written.

    Raises:
        MissingRun: it has not, or its members have changed since; names the ``make`` line.
    """
    where = folder(plan, name)
    remedy = f"Make it with: make ensemble NAME={name} SCALE={plan.scale}" + (
        f" CORPUS={plan.corpus}" if plan.corpus else ""
    )
    if not (where / "metrics.json").exists():
        raise MissingRun(f"{shown(where)}: no finished ensemble. {remedy}")
    metrics = read_json(where / "metrics.json")
    if [member["digest"] for member in metrics["members"]] != [job.digest for job in plan.ensemble_jobs(name)]:
        raise MissingRun(f"{shown(where)}: made from other members than the plan's. {remedy}")
    run = RunFolder(where)
    arrays = run.read_arrays(run.embeddings if run.embeddings.exists() else run.predictions)
    return Result(metrics, pd.read_csv(where / "members.csv"), pd.read_csv(where / "similarity.csv").to_numpy(), arrays)


def summary(name: str, spec: EnsembleSpec, result: Result) -> dict[str, Any]:
    """A row of the table of ensembles."""
    metrics = result.metrics
    primary = metrics["primary"]
    low, high = metrics["intervals"][primary]
    published = [p for p in spec.published if p.metric == primary]
    return {
        "name": name,
        "title": spec.title,
        "recipe": spec.recipe,
        "members": len(result.members),
        "metric": primary,
        "score": metrics["scores"]["validation"][primary],
        "low": low,
        "high": high,
        "best": result.members["score"].max(),
        "oracle": metrics["oracle"].get(primary),
        "published": "; ".join(f"{p.value} ({p.split})" for p in published),
    }


def _mean(folds: Sequence[np.ndarray], kind: str) -> np.ndarray:
    """One member of its folds: the mean of unit vectors, or of logits (AIAC rank 6 submits such means)."""
    if len(folds) == 1:
        return folds[0]
    return np.mean(
        [predictions.unit(value.astype(np.float64)) if kind == "pairs" else value for value in folds], axis=0
    )


def _combiner(name: str, spec: EnsembleSpec):
    arguments = components.arguments("evaluation", spec.combine, f"{paths.shown(file_of(EnsembleSpec, name))}: combine")
    module = importlib.import_module(components.module_of("evaluation", spec.combine, "combine"))
    return getattr(module, spec.combine.use)(**arguments)


def _members(jobs: Sequence[Job]) -> tuple[Judged, list[np.ndarray]]:
    """What is judged, and each member's vectors or logits, aligned."""
    store = Store.open(jobs[0].corpus.store)
    if predictions.kind(jobs[0].folder) == "pairs":
        found = [predictions.of_pairs(job.folder) for job in jobs]
        loaded = [predictions.vectors(job.folder) for job in jobs]
        _same([result.pairs for result in found], jobs)
        _same([rows for rows, _ in loaded], jobs)
        rows = loaded[0][0]
        pairs = np.stack([predictions.positions(rows, found[0].pairs[:, side]) for side in (0, 1)], axis=1)
        return Judged("pairs", rows, store.column("id")[rows].astype(str), found[0].score, pairs=pairs), [
            vectors for _, vectors in loaded
        ]
    results = [predictions.of_classes(job.folder) for job in jobs]
    _same([result.rows for result in results], jobs)
    tree = CategoryTree([str(name) for name in store.manifest["categories"]])
    rows = results[0].rows
    return Judged(
        "classes", rows, store.column("id")[rows].astype(str), results[0].truth, level1=tree.level1_of_level2
    ), [result.logits for result in results]


def _same(arrays: list[np.ndarray], jobs: Sequence[Job]) -> None:
    for array, job in zip(arrays[1:], jobs[1:], strict=True):
        if not np.array_equal(array, arrays[0]):
            raise ValueError(
                f"{shown(job.folder.path)} was validated on other items than {shown(jobs[0].folder.path)}; "
                "members need one split"
            )


def _similarity(judged: Judged, values: list[np.ndarray]) -> np.ndarray:
    """Rank correlation of each two members: of their cosines, or of all their logits."""
    flat = [judged.predicted(value) if judged.kind == "pairs" else value.ravel() for value in values]
    return np.array([[1.0 if a is b else spearman(a, b) for b in flat] for a in flat])
