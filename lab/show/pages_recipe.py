"""A page per system: its slots drawn, its stages, published against ours, its quirks, its cost."""

from __future__ import annotations

from typing import Any

import pandas as pd

from lab.show import figures_compare, figures_system, formats, pages_classes, quirk_costs, show, tables
from lab.show import runs as gather
from lab.show.answers import Answer
from lab.show.plan import Plan
from lab.show.rows import named
from lab.show.site import Site
from lab.show.table import Column, Table
from lib.recipes.job import Job
from lib.recipes.load import load
from lib.recipes.specs import Component, Recipe, Scale


def recipe(
    site: Site, plan: Plan, name: str, board: pd.DataFrame, answers: list[Answer], notebooks: dict[str, str]
) -> tuple[str, str]:
    """Write ``recipe_<name>``; returns (title, file) for links to it."""
    jobs = {
        stage: [plan.job(name, stage, "base", seed) for seed in plan.seeds] for stage in load(Recipe, name).main_stages
    }
    first = next(iter(jobs.values()))[0]
    spec = first.spec
    asked = [
        Answer(a.name, a.spec, a.frame[a.frame["recipe"] == name], a.jobs, a.runs) for a in answers if name in a.recipes
    ]
    output = "embedding" if gather.contest_metric(name) == "spearman" else "class\nlogits"
    parts = {slot: part.use for slot, part in spec.model.slots().items()}
    steps = [_step(stage, spec) for stage in jobs]
    published = [p.model_dump() for p in spec.published]
    links = [(f"Embedding map of {name}", f"map_{name}.md"), (f"Errors of {name}", f"errors_{name}.md")]
    links += [(f"Classes of {name}", f"classes_{name}.md")] if pages_classes.applies(name) else []
    links += [
        (f"Executed notebook: {stage}, seed {group[0].seed}", notebooks[str(group[0].folder.path)])
        for stage, group in jobs.items()
        if str(group[0].folder.path) in notebooks
    ]
    site.page(
        f"recipe_{name}",
        "recipe.md.j2",
        spec.title,
        eyebrow=_eyebrow(spec, name),
        summary=spec.summary.strip(),
        diagram=site.picture(
            f"system_{name}",
            figures_system.slots(parts, output, steps),
            f"Five slots of {name}: "
            + ", ".join(f"{slot} is {use}" for slot, use in parts.items())
            + f"; {figures_system.told(steps)}",
        ),
        scores=site.table(
            f"scores_{name}", tables.leaderboard(board[board["recipe"] == name].reset_index(drop=True), link=False)
        ),
        scoreboard=_scoreboard(site, name, board[board["recipe"] == name], spec),
        published=site.table(f"published_{name}", tables.published(published, spec.members)) if published else None,
        slots=_slots(spec),
        backbone=load(Scale, plan.scale).backbone,
        scale=plan.scale,
        stages=[_stage(site, group) for group in jobs.values()],
        cost=_cost(site, name, jobs),
        quirks=_quirks(site, spec, name, answers),
        questions=site.table(f"verdicts_{name}", tables.verdicts(asked)) if asked else None,
        links=links,
        sources=_sources(spec),
        command=jobs[list(jobs)[-1]][0].command,
    )
    return spec.title, f"recipe_{name}.md"


def _step(stage: str, spec: Recipe) -> figures_system.Step:
    of = spec.stages[stage]
    minimised = tuple(objective.use for objective in of.objectives.values() if objective.weight > 0)
    return figures_system.Step(stage, of.data.items, minimised, of.init_from, of.teacher)


def _scoreboard(site: Site, name: str, board: pd.DataFrame, spec: Recipe):
    metric = board["metric"].iloc[0]
    rows = board.assign(
        label=[f"{row.arm} {row.stage}" if len(spec.members) else row.stage for row in named(board)],
        seeds=[[float(score) for score in scores.split()] for scores in board["scores"]],
        published=[
            [p.value for p in spec.published if (p.stage, p.arm, p.metric) == (row.stage, row.arm, metric)]
            for row in named(board)
        ],
    )
    told = "; ".join(f"{row.label} {formats.score(row.score)}" for row in named(rows))
    elsewhere = "Published scores were measured on the competition's data: they show the order of magnitude, no more."
    return site.picture(
        f"scoreboard_{name}",
        figures_compare.scoreboard(rows, metric),
        f"{formats.metric(metric)} of {name}: {told}",
        elsewhere if rows["published"].map(len).any() else "",
    )


def _eyebrow(spec: Recipe, name: str) -> str:
    origin = spec.origin
    return " · ".join(
        part for part in (origin.contest, f"rank {origin.rank}" if origin.rank else "", origin.team, name) if part
    )


def _arguments(component: Component, leave_out: tuple[str, ...] = ()) -> str:
    return "\n".join(
        f"{key}: {formats.value(argument)}" for key, argument in component.arguments.items() if key not in leave_out
    )


def _slots(spec: Recipe) -> Table:
    frame = pd.DataFrame(
        [{"slot": slot, "use": part.use, "arguments": _arguments(part)} for slot, part in spec.model.slots().items()]
    )
    return Table(
        frame,
        (
            Column("slot", "slot"),
            Column("part", "use", "code"),
            Column("arguments", lambda r: r["arguments"] or None, "code"),
        ),
    )


def _stage(site: Site, jobs: list[Job]) -> dict[str, Any]:
    job = jobs[0]
    spec = job.stage_spec
    data, rates = spec.data, spec.optimizer.lr
    rows = [
        {"objective": name, "use": o.use, "weight": o.weight, "arguments": _arguments(o)}
        for name, o in spec.objectives.items()
    ]
    columns = (
        Column("objective", "objective"),
        Column("class", "use", "code"),
        Column("weight", lambda r: formats.significant(r["weight"], 5), "number"),
        Column("arguments", lambda r: r["arguments"] or None, "code"),
    )
    facts = [
        f"{data.items} of {', '.join(data.parts) or 'all parts'}",
        f"split `{data.split.use}`" if data.split.use != "none" else "",
        f"target `{data.target}`" if data.items == "pairs" else "",
        f"batches of {data.batch_size}",
        f"{formats.significant(data.epochs)} epochs",
        f"learning rate {rates.backbone:g}" + (f" (rest {rates.rest:g})" if rates.rest != rates.backbone else ""),
        f"schedule `{spec.schedule.use}`",
        f"gradient norm at most {spec.max_grad_norm:g}" if spec.max_grad_norm else "no clipping",
        f"EMA {spec.ema.decay:g}" if spec.ema else "",
        f"starts from {spec.init_from}" if spec.init_from else "starts from the backbone's weights",
        f"teacher {spec.teacher}" if spec.teacher else "",
    ]
    picture = site.picture(
        f"curves_{job.recipe}_{job.stage}",
        show.curves(job.folder),
        f"Losses, learning rate and validation score of {job.recipe} {job.stage}, seed {job.seed}",
        f"Seed {job.seed}: each objective unweighted, gradient norm, learning rate and validation score; "
        "the ring is the checkpoint that was kept.",
    )
    text = "; ".join(fact for fact in facts if fact)
    return {
        "name": job.stage,
        "text": text[0].upper() + text[1:] + ".",
        "objectives": Table(pd.DataFrame(rows), columns),
        "curves": picture,
    }


def _cost(site: Site, name: str, jobs: dict[str, list[Job]]):
    rows = []
    for stage, group in jobs.items():
        frame = gather.rows(group)
        rows.append(
            {
                "stage": stage,
                "metric": frame["metric"].iloc[0],
                **frame[["score", "steps", "train_items", "seconds", "samples_per_second", "parameters", "peak_rss_mb"]]
                .mean()
                .to_dict(),
                "unseen": pd.to_numeric(frame["unseen"], errors="coerce").mean(),
            }
        )
    return site.table(f"cost_{name}", tables.stages(pd.DataFrame(rows)))


def _quirks(site: Site, spec: Recipe, name: str, answers: list[Answer]):
    return site.table(f"quirks_{name}", tables.quirks(quirk_costs.rows(answers, name))) if spec.quirks else None


def _sources(spec: Recipe) -> list[str]:
    origin = spec.origin
    links = (
        [f"[{origin.paper}](https://arxiv.org/abs/{origin.paper.removeprefix('arXiv:')})"]
        if origin.paper.startswith("arXiv:")
        else [origin.paper]
        if origin.paper
        else []
    )
    links += [f"Code: [{origin.repository}](https://github.com/{origin.repository})"] if origin.repository else []
    return [*links, *(source for source in spec.sources if source != origin.paper)]
