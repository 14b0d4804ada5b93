"""One ensemble: members' predictions in, one score out, what each member adds to it, and other ways of joining them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lab.show import ensemble_members
from lab.show import runs as gather
from lab.show.ensemble_kinds import Joined, comparison, joiner, kinds
from lab.show.ensemble_members import UNSEEN, Judged
from lab.show.plan import Plan
from lib.data.store import Store
from lib.data.test_parts import rows_of_test
from lib.evaluation.crossfit import pair_folds
from lib.evaluation.metrics import spearman
from lib.evaluation.submission import write_embeddings
from lib.recipes.load import file_of, load
from lib.recipes.specs import Component, EnsembleSpec, Recipe, SubmissionSpec
from lib.runs.files import read_json, write_json, write_text
from lib.runs.folder import MissingRun, RunFolder
from lib.runs.paths import shown


@dataclass(frozen=True)
class Result:
    """``members`` best first: member, score, unseen, without (score of all others), gain, growth (score up to here) with
    its interval and difference from the best member; ``kinds`` as ``ensemble_kinds.comparison`` gives it."""

    metrics: dict[str, Any]
    members: pd.DataFrame
    kinds: pd.DataFrame
    similarity: np.ndarray  # [M, M] rank correlation of what each two members predict, in the order of ``members``
    arrays: dict[str, np.ndarray]  # ids, rows and vectors and test (pairs) or logits and truth (classes)


def folder(plan: Plan, name: str) -> Path:
    return plan.runs_folder / "ensembles" / name


def combine(plan: Plan, name: str) -> Result:
    """Join the members of an ensemble, score it, and score it again without each, as it grows and joined otherwise.

    Raises:
        KeyError: the plan has no such ensemble.
        MissingRun: a member is absent or stale; names it and its ``make`` line.
        ValueError: members were validated on different items, or cannot be joined as the file says.
    """
    if name not in plan.ensembles:
        raise KeyError(f"no ensemble {name!r} in this plan; it has: {', '.join(plan.ensembles) or 'none'}")
    spec, members, jobs = plan.ensembles[name], plan.ensemble_members(name), plan.ensemble_jobs(name)
    metrics = [gather.metrics_of(job) for job in jobs]
    judged, values = ensemble_members.load(members)
    result = judge(spec, judged, list(members), values, f"{shown(file_of(EnsembleSpec, name))}: ")
    facts = {
        "ensemble": name,
        "oracle": metrics[0]["oracle"],
        "members": [{"folder": shown(job.folder.path), "digest": job.digest} for job in jobs],
    }
    arrays = result.arrays
    if judged.pairs is not None:
        test = rows_of_test(Store.open(jobs[0].corpus.store), jobs[0].stage_spec.data.parts)
        arrays = arrays | {"test": np.isin(judged.rows, test)}
        facts["submission"] = load(Recipe, spec.recipe).submission.model_dump()
    return Result(result.metrics | facts, result.members, result.kinds, result.similarity, arrays)


def judge(spec: EnsembleSpec, judged: Judged, names: list[str], values: list[np.ndarray], where: str = "") -> Result:
    """``combine`` without a plan.

    Args:
        names, values: the members and their vectors [N, E_m] or logits [V, C].
        where: what errors begin with.
    """
    join = joiner(spec.combine, judged, f"{where}combine")
    order = np.argsort([-judged.score(judged.predicted(value)) for value in values], kind="stable")
    values, names = [values[i] for i in order], [names[i] for i in order]
    first = join(values)
    also = {f"{where}also[{number}]": component for number, component in enumerate(spec.also)}
    table = kinds(judged, names, values, first, spec.combine, also)
    final = table.iloc[0]
    metrics: dict[str, Any] = {
        "schema": 2,
        "combine": spec.combine.model_dump(),
        "also": [component.model_dump() for component in spec.also],
        "primary": judged.primary,
        "scores": {"validation": judged.scores(first.predicted)},
        "intervals": {judged.primary: [float(final["low"]), float(final["high"])]},
        "items": {"validation": len(judged.truth)},
    }
    if judged.pairs is not None:
        metrics["items"]["unseen"] = int((~judged.seen).sum()) if judged.seen is not None else len(judged.truth)
        if table["inside"].notna().any():
            metrics["folds_of"] = pair_folds(judged.pairs).grouped_by
        if UNSEEN in judged.parts:
            metrics["scores"][UNSEEN] = judged.scores(first.predicted, UNSEEN)
    arrays = {
        "ids": judged.ids,
        "rows": judged.rows,
        **({"vectors": first.values} if judged.kind == "pairs" else {"logits": first.values, "truth": judged.truth}),
    }
    rows = _members(judged, names, values, first, join)
    return Result(metrics, rows, table, _similarity(judged, values), arrays)


def _members(judged: Judged, names: list[str], values: list[np.ndarray], first: Joined, join) -> pd.DataFrame:
    """Each member alone, what the ensemble loses without it, and the ensemble of the members up to it."""
    singles = [judged.predicted(value) for value in values]
    grown = [*(join(values[: number + 1]) for number in range(len(values) - 1)), first]
    growth = comparison(judged, names, singles, [{"joined": joined} for joined in grown])
    alone = comparison(judged, names, singles, [{"joined": Joined(v, s)} for v, s in zip(values, singles, strict=True)])
    rows, final = [], judged.score(first.predicted)
    for number, name in enumerate(names):
        others = values[:number] + values[number + 1 :]
        without = judged.score(join(others).predicted) if others else float("nan")
        rows.append({"member": name, "without": without, "gain": final - without})
    columns = ["score", "low", "high", *([UNSEEN] if UNSEEN in alone else [])]
    grew = [column for column in growth if column not in ("inside", "width", "best", "unseen_best")]
    renamed = growth[grew].rename(columns=lambda column: "growth" if column == "score" else f"growth_{column}")
    return pd.concat(
        [pd.DataFrame(rows)[["member"]], alone[columns], pd.DataFrame(rows)[["without", "gain"]], renamed], axis=1
    )


def write(result: Result, folder: Path) -> Path:
    """``members.csv``, ``kinds.csv``, ``similarity.csv``, ``embeddings.npz`` or ``predictions.npz``, ``result.zip`` of the
    test videos as the team handed it in, and last ``metrics.json``."""
    run = RunFolder(folder)
    similarity = pd.DataFrame(result.similarity, columns=result.members["member"])
    for name, frame in (("members", result.members), ("kinds", result.kinds), ("similarity", similarity)):
        write_text(folder / f"{name}.csv", frame.to_csv(index=False, lineterminator="\n"))
    arrays = result.arrays
    run.write_arrays(run.embeddings if "vectors" in arrays else run.predictions, **arrays)
    if "test" in arrays and arrays["test"].any():
        spec, test = SubmissionSpec(**result.metrics["submission"]), arrays["test"]
        write_embeddings(folder / "result.zip", arrays["ids"][test].tolist(), arrays["vectors"][test], spec)
    return write_json(run.metrics, result.metrics)


def read(plan: Plan, name: str) -> Result:
    """An ensemble that ``06_ensemble`` has written.

    Raises:
        MissingRun: it has not, or its file or its members have changed since; names the ``make`` line.
    """
    where, spec = folder(plan, name), plan.ensembles[name]
    remedy = f"Make it with: make ensemble NAME={name} SCALE={plan.scale}" + (
        f" CORPUS={plan.corpus}" if plan.corpus else ""
    )
    if not (where / "metrics.json").exists():
        raise MissingRun(f"{shown(where)}: no finished ensemble. {remedy}")
    metrics = read_json(where / "metrics.json")
    if [member["digest"] for member in metrics["members"]] != [job.digest for job in plan.ensemble_jobs(name)]:
        raise MissingRun(f"{shown(where)}: made from other members than the plan's. {remedy}")
    if [metrics["combine"], metrics.get("also")] != [spec.combine.model_dump(), _dumped(spec.also)]:
        raise MissingRun(
            f"{shown(where)}: joined in other ways than {shown(file_of(EnsembleSpec, name))} says. {remedy}"
        )
    run = RunFolder(where)
    arrays = run.read_arrays(run.embeddings if run.embeddings.exists() else run.predictions)
    members, table = (pd.read_csv(where / f"{kind}.csv", float_precision="round_trip") for kind in ("members", "kinds"))
    table["note"] = table["note"].fillna("")
    return Result(metrics, members, table, pd.read_csv(where / "similarity.csv").to_numpy(), arrays)


def summary(name: str, spec: EnsembleSpec, result: Result) -> dict[str, Any]:
    """A row of the table of ensembles."""
    metrics, kind = result.metrics, result.kinds.iloc[0]
    primary = metrics["primary"]
    published = [p for p in spec.published if p.metric == primary]
    return {
        "name": name,
        "title": spec.title,
        "recipe": spec.recipe,
        "members": len(result.members),
        "metric": primary,
        "score": kind["score"],
        "low": kind["low"],
        "high": kind["high"],
        "best": kind["best_score"],
        "difference": kind["difference"],
        "difference_low": kind["difference_low"],
        "difference_high": kind["difference_high"],
        "verdict": kind["verdict"],
        UNSEEN: kind.get(UNSEEN),
        **{f"unseen_{end}": kind.get(f"unseen_{end}") for end in ("difference", "difference_low", "difference_high")},
        "oracle": metrics["oracle"].get(primary),
        "published": "; ".join(f"{p.value} ({p.split})" for p in published),
    }


def _dumped(parts: tuple[Component, ...]) -> list[dict[str, Any]]:
    return [component.model_dump() for component in parts]


def _similarity(judged: Judged, values: list[np.ndarray]) -> np.ndarray:
    """Rank correlation of each two members: of their cosines, or of all their logits."""
    flat = [judged.predicted(value) if judged.kind == "pairs" else value.ravel() for value in values]
    return np.array([[1.0 if a is b else spearman(a, b) for b in flat] for a in flat])
