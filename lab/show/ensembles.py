"""The ensembles of a plan: where they lie, what they are made of, and a row of their table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lab.show.plan import Plan
from lib.recipes.load import file_of, load
from lib.recipes.specs import EnsembleSpec, Recipe
from lib.runs.paths import shown
from lib.stages import ensemble
from lib.stages.ensemble import UNSEEN, Result
from lib.stages.ensemble import write as write


def folder(plan: Plan, name: str) -> Path:
    return plan.runs_folder / "ensembles" / name


def combine(plan: Plan, name: str) -> Result:
    """``lib.stages.ensemble.combine`` of a plan's members. Raises KeyError: the plan has no such ensemble."""
    if name not in plan.ensembles:
        raise KeyError(f"no ensemble {name!r} in this plan; it has: {', '.join(plan.ensembles) or 'none'}")
    spec = plan.ensembles[name]
    submission = load(Recipe, spec.recipe).submission
    return ensemble.combine(name, spec, plan.ensemble_members(name), submission, shown(file_of(EnsembleSpec, name)))


def read(plan: Plan, name: str) -> Result:
    """``lib.stages.ensemble.read`` of what ``06_ensemble`` has written."""
    remedy = f"Make it with: make ensemble NAME={name} SCALE={plan.scale}" + (
        f" CORPUS={plan.corpus}" if plan.corpus else ""
    )
    return ensemble.read(folder(plan, name), plan.ensembles[name], plan.ensemble_jobs(name), remedy)


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
