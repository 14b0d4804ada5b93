"""Finished runs as tables: one row a run, or one row a system. A missing or stale run is an error that says how to make it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd

from lab.show import formats as f
from lab.show import shared
from lab.show.plan import Plan, lineage
from lab.show.table import Column, Table, number
from lib.data.store import Store
from lib.recipes.job import Job
from lib.recipes.load import load
from lib.recipes.specs import Recipe
from lib.runs.files import read_object
from lib.runs.kinds import CONTEST_METRICS, KINDS, score_of, scored_on
from lib.runs.machine import processor
from lib.runs.paths import shown


def contest_metric(recipe: str) -> str:
    """The metric that a recipe's contest was decided by: one of ``CONTEST_METRICS``.

    Raises:
        RecipeError: no such recipe.
    """
    return KINDS[load(Recipe, recipe).track].metric


def metrics_of(job: Job) -> dict[str, Any]:
    """Raises MissingRun: no finished run of exactly this job; names folder and ``make`` line."""
    return job.folder.read_metrics(job.digest, f"Make it with: {job.command}")


def rows(jobs: Iterable[Job], part: str = "") -> pd.DataFrame:
    """One row a job: names, primary score with its interval, oracle, cost and provenance.

    ``seconds`` and ``samples_per_second`` are of this stage alone, ``peak_rss_mb`` is in MB.

    Args:
        part: what the scores are read on, if not on the part that the runs are scored on; without interval and oracle then.

    Raises:
        MissingRun: a job has no finished run with its digest.
    """
    return pd.DataFrame([_row(job, part) for job in jobs])


def _row(job: Job, part: str = "") -> dict[str, Any]:
    metrics, timing, noted = metrics_of(job), job.folder.read_timing(), job.folder.provenance
    facts = read_object(noted) if noted.exists() else {}
    primary, scores, items = metrics["primary"], metrics["scores"], metrics["items"]
    known = part in ("", scored_on(scores))
    part = part or scored_on(scores)
    low, high = (metrics["intervals"].get(primary) if known else None) or (None, None)
    about = {name: getattr(job, name) for name in ("recipe", "stage", "arm", "seed")}
    about |= {"metric": primary, "score": score_of(metrics, part), "scored_on": part, "low": low, "high": high}
    oracle = metrics["oracle"].get(primary) if known else None
    about |= {"unseen": scores.get("unseen", {}).get(primary), "oracle": oracle}
    about |= {"train_items": items.get("train"), "scored_items": items.get(part), "seen_share": items.get("seen_share")}
    about |= {name: metrics[name] for name in ("steps", "best_step", "parameters")}
    about |= {name: timing.get(name) for name in ("seconds", "samples_per_second", "peak_rss_mb")}
    about |= {"digest": metrics["digest"], "commit": facts.get("commit", "unknown"), "dirty": facts.get("dirty")}
    about |= {"device": facts.get("device", "unknown"), **{name: facts.get(name) for name in ("python", "platform")}}
    about |= {"torch": facts.get("packages", {}).get("torch"), "corpus": metrics["job"]["corpus"]}
    return about | {"folder": shown(job.folder.path)}


def systems(plan: Plan) -> pd.DataFrame:
    """One row per recipe and scored stage, means over seeds: the raw material of the leaderboard.

    ``low`` and ``high`` are the means over seeds of the 95 % interval over the items of the part ``scored_on``; ``sd`` is the
    standard deviation of the score over seeds; ``total_seconds`` counts all stages that a run needed; ``strict`` is, where
    that part is validation, the score on the same pairs after training without any pair that shares a video with them.
    """
    found = [
        _system(plan, recipe, stage, arm, jobs)
        for recipe in plan.systems
        for stage in plan.stages(recipe)
        for arm, jobs in plan.member_jobs(recipe, stage).items()
    ]
    return pd.DataFrame([row for row in found if row["metric"] in CONTEST_METRICS])


def _system(plan: Plan, recipe: str, stage: str, arm: str, jobs: list[Job]) -> dict[str, Any]:
    spec, frame = load(Recipe, recipe), rows(jobs)
    metric = frame["metric"].iloc[0]
    published = [p for p in spec.published if (p.stage, p.arm, p.metric) == (stage, arm, metric)]
    first, test = frame.iloc[0], frame["scored_on"].iloc[0] != "validation"
    row = {"recipe": recipe, "stage": stage, "arm": arm, "title": spec.title if arm == "base" else spec.members[arm]}
    row |= {"contest": spec.corpus, "corpus": first["corpus"], "metric": metric, "seeds": len(frame)}
    row |= {"score": frame["score"].mean(), "sd": frame["score"].std(ddof=1) if len(frame) > 1 else None}
    row |= {"scored_on": first["scored_on"], **{name: _mean(frame[name]) for name in ("low", "high", "unseen")}}
    row |= {"strict": None if test else _strict(plan, recipe, stage, arm), "oracle": _mean(frame["oracle"])}
    row |= {"published": "; ".join(f"{p.value} ({p.split})" for p in published)}
    row |= {"published_source": "; ".join(dict.fromkeys(p.source for p in published))}
    row |= {"parameters": int(first["parameters"]), "seconds": _mean(frame["seconds"])}
    row |= {"total_seconds": sum(rows(lineage(job))["seconds"].sum() for job in jobs) / len(jobs)}
    row |= {name: _mean(frame[name]) for name in ("samples_per_second", "peak_rss_mb")}
    return row | {"scores": " ".join(map(str, frame["score"]))}


def _strict(plan: Plan, recipe: str, stage: str, arm: str) -> float | None:
    for name, question in plan.ablations.items():
        if question.strict and recipe in plan.recipes_of(name) and (stage, arm) == (question.stage, question.member):
            return _mean(rows(plan.ablation_jobs(name)[recipe, question.strict])["score"])
    return None


def _mean(values: pd.Series) -> float | None:
    known = pd.to_numeric(values, errors="coerce").dropna()
    return float(known.mean()) if len(known) else None


def mixed(frame: pd.DataFrame) -> str:
    """A sentence if the runs of a table come from several commits, devices or versions of torch, else nothing."""
    what = [
        f"{name} {_each(frame[column])}"
        for column, name in (("commit", "commits"), ("device", "devices"), ("torch", "versions of torch"))
        if frame[column].nunique() > 1
    ]
    return f"The runs of this page do not all come from the same state of things: {'; '.join(what)}." if what else ""


def every(frame: pd.DataFrame, name: str) -> Table:
    """Runs one by one. Args: frame: of :func:`rows`. name: of the CSV, which has all columns."""
    columns = (
        Column("run", lambda r: f"{r['recipe']} {r['stage']}\n{r['arm']}, seed {r['seed']}"),
        shared.METRIC,
        number("score", "score"),
        Column("digest", "digest", "code"),
        Column("commit", lambda r: r["commit"] + (" +changes" if r["dirty"] else ""), "code"),
        number("time", "seconds", f.seconds, "of this stage"),
    )
    return Table(frame, columns, name=name)


def provenance(plan: Plan, frame: pd.DataFrame) -> Table:
    """What the runs of a report were made with. Args: frame: of :func:`rows`."""
    facts = {"runs": f.count(len(frame)), "training time in all": f.seconds(frame["seconds"].sum())}
    facts |= {"largest peak memory": f"{f.count(frame['peak_rss_mb'].max())} MB", "commits": _each(frame["commit"])}
    changed = "yes" if frame["dirty"].any() else "unknown" if frame["dirty"].isna().any() else "no"
    facts |= {"uncommitted changes": changed, "devices": _each(frame["device"])}
    facts |= {"processor": processor(), "platforms": _each(frame["platform"])}
    facts |= {name: _each(frame[name]) for name in ("python", "torch")}
    facts |= {f"fingerprint of {ref.label}": Store.open(ref.store).fingerprint for ref in plan.corpora}
    return Table.facts(facts, name="provenance")


def _each(values: pd.Series) -> str:
    return ", ".join(sorted(map(str, values.unique())))
