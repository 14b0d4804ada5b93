"""How long steps take, and what their results will be able to show: known before they run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from math import inf, isnan, nan
from pathlib import Path
from statistics import mean, median
from typing import Any

import pandas as pd

from lab.flow.tasks import Task, job_task
from lab.show.plan import COMPARISONS, Plan, lineage
from lab.show.specs import ReportSpec
from lib.recipes.corpus import CorpusRef
from lib.recipes.job import sees
from lib.recipes.load import load
from lib.recipes.specs import Ablation, Recipe
from lib.runs.files import read_object

MANY = 30  # seeds
FEWEST = 120  # updates, from which on a stage is worth its time


def expectations(every: Iterable[Task], world: Path, by_kind: Mapping[str, float]) -> dict[str, float]:
    """Seconds each step should take: as long as last time, else as others of its kind and system did, else as the scale's
    file says of these, else as its kind did, else as the file says of that."""
    every, known = list(every), durations(world)
    like: dict[str, list[float]] = {}
    for task in every:
        if task.step in known:
            for kind in _kinds(task):
                like.setdefault(kind, []).append(known[task.step])

    def usual(task: Task) -> float:
        said = (mean(like[kind]) if kind in like else by_kind.get(kind) for kind in _kinds(task))
        return next((seconds for seconds in said if seconds is not None), 10.0)

    return {task.step: known.get(task.step) or usual(task) for task in every}


def _kinds(task: Task) -> tuple[str, str]:
    return f"{task.rule}/{task.name.partition('-')[0]}", task.rule


def durations(world: Path) -> dict[str, float]:
    """Seconds of every step that ran once in this folder."""
    file = world / "durations.json"
    return read_object(file) if file.exists() else {}


def notes(plan: Plan) -> Iterator[str]:
    """What a corpus of one's own is too small for, or has nothing for, as its manifest alone tells."""
    ref = CorpusRef(plan.corpus, plan.scale)
    counts = ref.counts if plan.corpus else {}
    usual = load(ReportSpec, "report").at(plan.depth) if counts else ()
    for recipe in [name for name in usual if load(Recipe, name).track == ref.track and not sees(name, ref)]:
        yield f"{recipe}: left out, as it learns from pictures, of which {plan.corpus} has none."
    for recipe in plan.systems if counts else ():
        if left := set(load(Recipe, recipe).main_stages) - set(plan.stages(recipe)):
            yield f"{recipe}: without {', '.join(sorted(left))}, as no video of {plan.corpus} has tags."
        for stage in plan.stages(recipe):
            data = plan.job(recipe, stage).stage_spec.data
            steps = max(data.min_steps, round(data.epochs * (counts[data.items] // data.batch_size)))
            if data.epochs and steps < FEWEST:
                yield (
                    f"{recipe} {stage}: {steps} updates on {counts[data.items]} {data.items} are too few to learn from; "
                    f"overrides.{recipe} of params/scales/{plan.scale}.yaml can set stages.{stage}.data.min_steps: {FEWEST} or more."
                )


def questions(plan: Plan, expected: Mapping[str, float]) -> list[dict[str, Any]]:
    """Of each question: ``seeds``, ``jobs`` and ``minutes`` of one core that nothing above it in the list needs as well, and
    ``visible``: the smallest effect that so many seeds would show, by the noise in the newest report, in the median over
    systems; beside it the smallest effect ``claimed`` and the seeds ``needed`` to see that one. None where that is not known;
    ``needed`` is infinite where ``MANY`` seeds are too few."""
    from lab.show import verdicts  # loads torch

    report = plan.report_folder / "tables" / COMPARISONS
    known = verdicts.read(report) if report.exists() else pd.DataFrame(columns=list(verdicts.COLUMNS))
    seen = {job.folder.path for job in plan.system_jobs}
    rows = []
    for name in plan.ablations:
        jobs = [job for group in plan.ablation_jobs(name).values() for job in group]
        new = {job.folder.path: job for one in jobs for job in lineage(one) if job.folder.path not in seen}
        seen |= set(new)
        seeds = len(plan.seeds_of(name))
        claimed = min((abs(claim.value) for claim in load(Ablation, name).claimed if claim.value), default=None)

        def visible(seeds: int, name: str = name) -> float:
            sizes = [size for size in verdicts.visible(plan, name, seeds, known).values() if not isnan(size)]
            return median(sizes) if sizes else nan

        needed = None
        if claimed is not None and not isnan(visible(MANY)):
            needed = next((n for n in range(2, MANY + 1) if visible(n) <= claimed), inf)
        row = {"question": name, "seeds": seeds, "jobs": len(new), "claimed": claimed, "needed": needed}
        row["minutes"] = sum(expected[job_task(job).step] for job in new.values()) / 60
        rows.append(row | {"visible": None if isnan(size := visible(seeds)) else size})
    return rows
