"""Systems: what they are made of, their scores beside published ones, and what their stages cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pandas as pd

from lab.show import classes, pairs, predictions, runs, shared, slices
from lab.show import formats as f
from lab.show.plan import Plan, lineage
from lab.show.table import Column, Picture, Row, Table, filled, link, number
from lib.data.schema import FIELDS_OF_LAYOUT
from lib.data.store import Store
from lib.recipes.job import Job
from lib.recipes.load import load
from lib.recipes.specs import Component, Published, Recipe, Scale, StageSpec
from lib.runs.folder import MissingRun
from lib.runs.kinds import CONTEST_METRICS
from lib.stages.build import backbone_in_place

STRICT = "score on the same pairs after a training without any pair that shares a video with them"
FIELD_NAMES = {"title": "title", "ocr": "OCR", "asr": "ASR"}


def scored_job(plan: Plan, recipe: str, seed: int | None = None) -> Job:
    """The first stage of a recipe that is judged by the task's own metric; first seed if none is named."""
    for stage in plan.stages(recipe):
        job = plan.job(recipe, stage, "base", plan.seeds[0] if seed is None else seed)
        if runs.metrics_of(job)["primary"] in CONTEST_METRICS:
            return job
    raise MissingRun(f"{recipe}: no stage is judged by {' or '.join(CONTEST_METRICS)}")


# ---- what a system is


def about(job: Job) -> Table:
    """Where a system comes from, what its authors say of it, and how much of that is here.

    Raises:
        MissingRun: the run is absent or stale; names it and its ``make`` line.
    """
    spec, metrics = load(Recipe, job.recipe), runs.metrics_of(job)
    origin, items = spec.origin, f.count(metrics["items"]["train"])
    corpus = f"{f.count(len(Store.open(job.corpus.store)))} videos of {job.corpus.label}"
    paper = f"[{origin.paper}](https://arxiv.org/abs/{origin.paper.removeprefix('arXiv:')})"
    facts = {
        "system": f"{spec.title} (`{job.recipe}`)",
        "in the original": spec.summary.strip(),
        "here": f"{f.millions(metrics['parameters'])} parameters; {corpus}, {items} {job.stage_spec.data.items} to train on",
        "contest": origin.contest,
        "rank": str(origin.rank or ""),
        "team": origin.team,
        "paper": paper if origin.paper.startswith("arXiv:") else origin.paper,
        "code": origin.repository and f"[{origin.repository}](https://github.com/{origin.repository})",
        "sources": "; ".join(source for source in spec.sources if source != origin.paper),
    }
    return Table.facts({what: value for what, value in facts.items() if value})


def parts(job: Job) -> Table:
    """The slots of the model as resolved at this scale: which class fills each, with which arguments."""
    rows = [
        {"slot": slot, "use": part.use, "arguments": _arguments(part, job)}
        for slot, part in job.spec.model.slots().items()
    ]
    columns = (Column("slot", "slot"), Column("part", "use", "code"), Column("arguments", "arguments", "code"))
    features = job.spec.features
    reads = ", ".join(FIELD_NAMES[field] for field in FIELDS_OF_LAYOUT[features.text.layout])
    caption = (
        f"Text: {reads}, layout `{features.text.layout}`, {features.text.length} tokens of set "
        f"`{features.text.set}`. Frames: {features.frames.length}, `{features.frames.sample}`, set `{features.frames.set}`."
    )
    return Table(pd.DataFrame(rows), columns, caption, name=f"parts_{job.recipe}")


def stages(plan: Plan, recipe: str) -> Table:
    """What each stage learns from, what it minimises and how, as resolved at this scale."""
    rows = []
    for stage in _used(plan, recipe):
        spec = plan.job(recipe, stage, "base", plan.seeds[0]).stage_spec
        objectives = [f"{f.significant(o.weight, 5)} × {o.use}" for o in spec.objectives.values()]
        objectives = [f"pseudo labels: {spec.pseudo.use}"] if spec.pseudo else objectives
        rows.append({"stage": stage, "objectives": "\n".join(objectives), "settings": "; ".join(_settings(spec))})
    added = load(Recipe, recipe).added
    columns = (
        Column("stage", lambda r: r["stage"] + (f"\nadded here: {added[r['stage']]}" if r["stage"] in added else "")),
        Column("minimises", "objectives", "code"),
        Column("how", "settings"),
    )
    found = load(Scale, plan.scale).backbone or ""
    is_random = found.startswith(("tiny-", "small-", "random-"))
    start = "random weights" if is_random else "weights pretrained on the world's own language"
    backbone = f"Every backbone is `{found}` and starts from {start}." if found else ""
    return Table(pd.DataFrame(rows), columns, f"As trained at {plan.scale} scale. {backbone}", name=f"stages_{recipe}")


def _used(plan: Plan, recipe: str) -> list[str]:
    """Stages that a system as it is comes from: its main ones, and those on demand behind them."""
    stages = plan.stages(recipe)
    behind = {job.stage for stage in stages for job in lineage(plan.job(recipe, stage, "base", plan.seeds[0]))}
    return [stage for stage in load(Recipe, recipe).stages if stage in behind]


def _settings(spec: StageSpec) -> list[str]:
    data, rates, ema = spec.data, spec.optimizer.lr, spec.ema
    if spec.pseudo is not None:
        asked = f"asks {spec.init_from}" + (f" of {', '.join(spec.pseudo.arms)}" if spec.pseudo.arms else "")
        return [asked, *(f"{key} {f.value(given)}" for key, given in spec.pseudo.arguments.items()), "trains nothing"]
    averaged = (
        f"{ema.decay:g}" if ema and ema.horizon is None else f"over {ema.horizon:.1%} of the updates" if ema else ""
    )
    facts = [
        f"{data.items} of {', '.join(data.parts) or 'all parts'}",
        f"split `{data.split.use}`, k = {data.split.k}" if data.split.use != "none" else "",
        f"target `{data.target}`" if data.items == "pairs" else "",
        f"batches of {data.batch_size}",
        f"{f.significant(data.epochs)} epoch{'s' * (data.epochs != 1)}",
        f"learning rate {rates.backbone:g}" + (f" (rest {rates.rest:g})" if rates.rest != rates.backbone else ""),
        f"schedule `{spec.schedule.use}`",
        f"gradient norm at most {spec.max_grad_norm:g}" if spec.max_grad_norm else "no clipping",
        averaged and f"EMA {averaged}",
        "starts from " + (spec.init_from or "the backbone's weights"),
        f"teacher {spec.teacher}" if spec.teacher else "",
        f"pseudo labels of {data.pseudo}" if data.pseudo else "",
        f"at most {' or '.join(map(str, data.frames))} frames" if data.frames else "",
        f"joined by {spec.expert.stage}" if spec.expert else "",
    ]
    return [fact for fact in facts if fact]


def _arguments(component: Component, job: Job) -> str:
    """As the model is built: with the backbone that the scale puts in the place of the one that the recipe names."""
    given = component.arguments
    if "backbone" in given:
        given |= {"backbone": backbone_in_place(job, component) or given["backbone"]}
    return "\n".join(f"{key}: {f.value(argument)}" for key, argument in given.items())


# ---- scores


def leaderboard(board: pd.DataFrame, name: str = "leaderboard", known: pd.DataFrame | None = None) -> Table:
    """Systems and their scored stages.

    Args:
        board: rows of ``runs.systems``, all or some.
        known: of ``floors.of_plan``; those of the board's corpora have rows among the systems, sorted as those are.
    """
    if known is not None:
        rows = known[known["corpus"].isin(board["corpus"])].rename(columns={"n": "items"})
        falling = board["score"].is_monotonic_decreasing
        board = pd.concat([board, rows.drop(columns=["digest", "scored_on"])], ignore_index=True)
        board = board.sort_values("score", ascending=False, ignore_index=True) if falling else board
    over = "mean over the seeds of the row ± standard deviation over seeds"
    columns = (
        Column("system", _system),
        Column(f.metric(board["metric"].iloc[0]), _score, "number", over),
        number("seeds", "seeds", f.count),
        shared.INTERVAL,
        number("unseen videos", "unseen", hint=shared.UNSEEN),
        number("strict split", "strict", hint=STRICT),
        shared.ORACLE,
        Column("published", _published, "number", "on the competition's data, not on this corpus"),
        number("training", "total_seconds", f.seconds, "all stages, mean over seeds"),
        shared.PARAMETERS,
    )
    caption = (
        f"{f.listed(board['scored_on'].dropna().unique()).capitalize()} part of {', '.join(board['corpus'].unique())}; checkpoints are "
        f"selected on validation. Interval: {shared.ITEMS}, averaged over the seeds. Shaded: what needs no network. Published scores "
        "belong to the competition's data and are not comparable."
    )
    several = board["seeds"].max() > 1

    def mark(row: Row) -> str:
        return "reference" if _is_floor(row) else "single" if several and row["seeds"] == 1 else ""

    return Table(board, filled(board, columns), caption, emphasis=mark, name=name)


def _is_floor(row: Row) -> bool:
    return pd.notna(row.get("floor"))


def _system(row: Row) -> str:
    if _is_floor(row):
        return f"{row['floor']}\n{row['label']}"
    stage = f"{row['stage']}, added here" if row["stage"] in load(Recipe, row["recipe"]).added else row["stage"]
    below = ", below the untrained floor" if row.get("below_floor") is True else ""
    model = shared.model(row["recipe"], row["arm"])
    return f"{link(shared.system(row['recipe']), 'system', row['recipe'])}\n{model}, {stage}{below}"


def _score(row: Row) -> str:
    return f"**{f.score(row['score'])}**" + (f"\n± {f.effect(row['sd'])}" if pd.notna(row["sd"]) else "")


def _published(row: Row) -> str:
    """ "0.886 / 0.836", and below it where each was measured."""
    entries = row["published"].split("; ") if pd.notna(row["published"]) else []
    pairs = [entry.removesuffix(")").split(" (") for entry in entries if entry]
    values, splits = " / ".join(f.score(float(value)) for value, _ in pairs), " / ".join(split for _, split in pairs)
    return f"{values}\n{splits}" if pairs else f.NOTHING


def published(recipe: str) -> Table:
    """Published scores of a system with their sources."""
    spec = load(Recipe, recipe)
    return scores_of(spec.published, spec.members, recipe)


def scores_of(scores: Iterable[Published], members: Mapping[str, str], name: str) -> Table:
    """Published scores; the model beside each where there are several.

    Args:
        members: arm -> title of the further models of a system.
    """
    rows = [score.model_dump() for score in scores]
    columns = (
        Column("model", lambda r: members.get(r["arm"], "the recipe itself")),
        Column("stage", "stage"),
        Column("split", "split"),
        shared.METRIC,
        Column("score", lambda r: str(r["value"]), "number"),
        Column("source", "source"),
        Column("note", "note"),
    )
    frame = pd.DataFrame(rows, columns=["stage", "arm", "split", "metric", "value", "source", "note"])
    if not any(row["arm"] in members for row in rows):
        columns = columns[1:]
    return Table(
        frame,
        columns,
        "" if rows else "No score of its models was published.",
        name=f"published_{name}" if rows else "",
    )


def assumed(recipe: str) -> Table:
    """What no source of a system states: the choices made here, and the keys of the recipe that rest on them."""
    rows = [one.model_dump() for one in load(Recipe, recipe).assumed]
    columns = (
        Column("entry", "id"),
        Column("chosen here", "says"),
        Column("keys", lambda r: "\n".join(r["keys"]), "code"),
    )
    caption = (
        "The system's authors published no code, and nobody published the values of these keys: this system is a reconstruction."
        if rows
        else "Nothing is assumed: what was built is in the original's code or write-up."
    )
    return Table(
        pd.DataFrame(rows, columns=["id", "says", "keys"]), columns, caption, name=f"assumed_{recipe}" if rows else ""
    )


# ---- errors


def errors(plan: Plan, recipe: str) -> dict[str, list[Picture | Table]]:
    """Where the first seed of a system is right and where it is wrong, as its track allows: heading -> what stands below."""
    job = scored_job(plan, recipe)
    sliced = {"By kind of video": [slices.slices(job)]}
    if job.kind.name == "pairs":
        found = predictions.of_pairs(job.folder)
        shown = {"Cosines against labels": [pairs.predicted(found, recipe)]}
        return shown | sliced | {"What a cosine is worth": [pairs.calibration(found, recipe)]}
    answers = classes.Answers.of(job, Store.open(job.corpus.store))
    seeds = [predictions.of_classes(scored_job(plan, recipe, seed).folder) for seed in plan.seeds_for(recipe)]
    corrected = ", ".join(part.use for part in job.stage_spec.evaluation.postprocess)
    shown = {"What is taken for what": [classes.confusion(answers), classes.confused(answers)]}
    shown |= sliced | {"Rare and frequent classes": [classes.long_tail(answers), classes.thirds(answers, seeds)]}
    return shown | {"How sure it may be": [classes.reliability(answers, corrected)]}


# ---- cost


def cost(plan: Plan, recipe: str) -> Table:
    """What each stage of a system cost, mean over seeds."""
    numbers = ["score", "steps", "train_items", "seconds", "samples_per_second", "parameters", "peak_rss_mb", "unseen"]
    rows = []
    for stage in _used(plan, recipe):
        frame = runs.rows(plan.job(recipe, stage, "base", seed) for seed in plan.seeds_for(recipe))
        means = frame[numbers].apply(pd.to_numeric, errors="coerce").mean()
        rows.append({"stage": stage, "metric": frame["metric"].iloc[0], **means.to_dict()})
    columns = (
        Column("stage", "stage"),
        Column("score", lambda r: f"{f.score(r['score'])}\n{f.metric(r['metric'])}", "number"),
        shared.NEW_VIDEOS,
        number("steps", "steps", f.count),
        number("training items", "train_items", f.count),
        number("time", "seconds", f.seconds),
        shared.SAMPLES,
        shared.PARAMETERS,
        number("peak memory", "peak_rss_mb", lambda size: f"{f.count(size)} MB"),
    )
    frame = pd.DataFrame(rows)
    return Table(frame, filled(frame, columns), "Means over seeds.", name=f"cost_{recipe}")
