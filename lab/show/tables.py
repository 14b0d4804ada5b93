"""The tables of the report: leaderboard, questions, provenance; those of ensembles are in ``tables_ensembles``."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from lab.show import formats as f
from lab.show.answers import Answer
from lab.show.rows import Row
from lab.show.table import Column, Table

ITEMS = "95 % interval over validation items (bootstrap), averaged over the seeds"
PAIRED = "95 % t-interval of the mean paired difference over seeds"
NEW_VIDEOS = "unseen videos"
EXPLAINED = {
    NEW_VIDEOS: "score on those validation pairs neither of whose videos occurs in a training pair",
    "leak-free": "score on the same validation pairs after a training without any pair that shares a video with them",
}


def published_cell(row: Row) -> str:
    """ "0.886 / 0.836", and below it where each was measured."""
    pairs = [entry.removesuffix(")").split(" (") for entry in row["published"].split("; ") if entry]
    return (
        f"{' / '.join(f.score(float(value)) for value, _ in pairs)}\n{' / '.join(split for _, split in pairs)}"
        if pairs
        else f.NOTHING
    )


def leaderboard(frame: pd.DataFrame, link: bool = True) -> Table:
    """Systems and their scored stages (rows of ``runs.systems``)."""
    corpora = ", ".join(dict.fromkeys(frame["corpus"]))
    metric = f.metric(frame["metric"].iloc[0])

    def system(row: Row) -> str:
        name = f"[{row['title']}](recipe_{row['recipe']}.md)" if link else row["title"]
        return f"{name}\n{row['recipe']}{'' if row['arm'] == 'base' else ' ' + row['arm']}, {row['stage']}"

    columns = [
        Column("system", system),
        Column(
            metric,
            lambda r: f"**{f.score(r['score'])}**" + (f"\n± {f.score(r['sd'], 4)}" if pd.notna(r["sd"]) else ""),
            "number",
            "mean over seeds ± standard deviation over seeds",
        ),
        Column("95 % interval", lambda r: f.interval(r["low"], r["high"]), "number", ITEMS),
        new_videos(),
        Column("leak-free", lambda r: f.score(r["leak_free"]), "number", EXPLAINED["leak-free"]),
        Column(
            "oracle",
            lambda r: f.score(r["oracle"]),
            "number",
            "score of the generator's own truth; nothing can be expected to beat it",
        ),
        Column("published", published_cell, "number", "on the competition's data, not on this corpus"),
        Column("training", lambda r: f.seconds(r["total_seconds"]), "number", "all stages, mean over seeds"),
        Column("samples/s", lambda r: f.count(r["samples_per_second"]), "number", "training samples of this stage"),
        Column("parameters", lambda r: f.millions(r["parameters"]), "number"),
    ]
    columns = known(columns, frame, {NEW_VIDEOS: "unseen", "leak-free": "leak_free"})
    seeds = f.plural(int(frame["seeds"].max()), "seed")
    caption = (
        f"Validation part of {corpora}, mean over {seeds}. Interval: {ITEMS}. "
        "Published scores belong to the competition's data and are not comparable."
    )
    return Table(frame, tuple(columns), caption, explained(columns))


def new_videos(digits: int = 3) -> Column:
    """The column that tells a score on videos no training pair has; of rows with ``unseen``."""
    return Column(NEW_VIDEOS, lambda r: f.score(r["unseen"], digits), "number", EXPLAINED[NEW_VIDEOS])


def known(columns: Sequence[Column], frame: pd.DataFrame, sources: dict[str, str]) -> list[Column]:
    """Without the columns (by title) of whose source the frame knows nothing."""
    empty = {title for title, name in sources.items() if name not in frame or frame[name].isna().all()}
    return [column for column in columns if column.title not in empty]


def explained(columns: Sequence[Column]) -> tuple[str, ...]:
    """Notes under a table on the short names among its columns."""
    titles = [column.title for column in columns]
    return tuple(f"**{name}**: {meaning}." for name, meaning in EXPLAINED.items() if name in titles)


def question(answer: Answer) -> Table:
    """One question: reference row first, then each arm with its paired difference."""
    metric = f.metric(answer.frame["metric"].iloc[0]) if answer.frame["metric"].nunique() == 1 else "score"
    columns = [
        Column("system", "recipe"),
        Column("arm", lambda r: f"`{r['arm']}`" + ("\nreference" if r["is_reference"] else "")),
        Column(metric, lambda r: f.score(r["score"], 4), "number", "mean over seeds"),
        Column("sd", lambda r: f.score(r["sd"], 4), "number", "standard deviation over seeds"),
        new_videos(4),
        Column(
            "difference",
            lambda r: f.difference(r["difference"]),
            "number",
            "arm minus the one before, run by run"
            if answer.spec.against
            else "arm minus reference, same seed, same data order",
        ),
        Column("95 % interval", lambda r: f.interval(r["low"], r["high"], 4, signed=True), "number", PAIRED),
        Column("verdict", lambda r: r["verdict"] or None, "verdict"),
        Column("claimed", lambda r: f.difference(r["claimed"]), "number", "by its authors, on other data"),
        Column("training", lambda r: f.seconds(r["seconds"]), "number", "of this stage, mean over seeds"),
    ]
    empty = {"system": len(answer.recipes) == 1, "claimed": answer.frame["claimed"].isna().all()}
    columns = [column for column in columns if not empty.get(column.title)]
    columns = known(columns, answer.frame, {NEW_VIDEOS: "unseen"})
    caption = f"{f.plural(int(answer.frame['n'].max()), 'seed')} an arm. Interval: {PAIRED}."
    return Table(
        answer.frame,
        tuple(columns),
        caption,
        explained(columns),
        emphasis=lambda r: "reference" if r["is_reference"] else "",
    )


def verdicts(answers: list[Answer]) -> Table:
    """One line per question and system: what the report found."""
    frame = pd.concat(
        [a.comparisons.assign(ablation=a.name, question=a.spec.question, family=a.spec.family) for a in answers],
        ignore_index=True,
    )
    columns = (
        Column("question", lambda r: f"[{r['question']}](ablation_{r['ablation']}.md)\n`{r['arm']}` on {r['recipe']}"),
        Column("verdict", "verdict", "verdict"),
        Column(
            "difference",
            lambda r: f.difference(r["difference"]),
            "number",
            "in the metric of the track, to the reference arm",
        ),
        Column("95 % interval", lambda r: f.interval(r["low"], r["high"], 4, signed=True), "number", PAIRED),
        Column("claimed", lambda r: f.difference(r["claimed"]), "number", "by its authors, on other data"),
    )
    return Table(frame, columns, f"Arm minus reference, {_seeds(frame['n'])}. Interval: {PAIRED}.")


def _seeds(numbers: pd.Series) -> str:
    """ "3 paired seeds" or "3 to 5 paired seeds"."""
    few, many = int(numbers.min()), int(numbers.max())
    return f.plural(many, "paired seed") if few == many else f"{few} to {f.plural(many, 'paired seed')}"


def published(rows: list[dict], members: dict[str, str] | None = None) -> Table:
    """Published scores with their sources.

    Args:
        rows: the fields of ``Published``.
        members: arm -> title of the further models of a system; a score of any of them has its model's name beside it.
    """
    titles = members or {}
    columns = [
        Column("model", lambda r: titles.get(r["arm"], "the recipe itself")),
        Column("stage", "stage"),
        Column("split", "split"),
        Column("metric", lambda r: f.metric(r["metric"])),
        Column("score", lambda r: str(r["value"]), "number"),
        Column("source", "source"),
        Column("note", lambda r: r["note"] or None),
    ]
    several = any(row["arm"] in titles for row in rows)
    return Table(pd.DataFrame(rows), tuple(columns if several else columns[1:]))


def quirks(rows: list[dict]) -> Table:
    """What the original code does beside its description, what that costs, and the switch that restores it."""

    def costs(row: Row) -> str | None:
        if not row["question"]:
            return "not measured in this report" if row["can_be_switched"] else None
        ends = f.interval(row["low"], row["high"], 4, signed=True)
        where = f"[{row['arms']}](ablation_{row['question']}.md)"
        return "\n".join([f.difference(row["difference"]), *([ends] if ends != f.NOTHING else []), where])

    columns = (
        Column("id", "id", "code"),
        Column("the original", "says"),
        Column("what it costs", costs, hint=f"score with the quirk minus score without it; below it the {PAIRED}"),
        Column("verdict", lambda r: r["verdict"] or None, "verdict"),
        Column("switch", lambda r: r["switch"].replace("; ", "\n") or None, "code"),
    )
    measured = [row for row in rows if row["question"]]
    seeds = f", {f.plural(max(row['seeds'] for row in measured), 'paired seed')}" if measured else ""
    caption = f"With the quirk minus without it, all else equal{seeds}. Interval: {PAIRED}."
    return Table(pd.DataFrame(rows), columns, caption)


def stages(frame: pd.DataFrame) -> Table:
    """What each stage of a system cost, mean over seeds."""
    columns = [
        Column("stage", "stage"),
        Column("score", lambda r: f"{f.score(r['score'], 4)}\n{f.metric(r['metric'])}", "number"),
        Column(NEW_VIDEOS, lambda r: f.score(r.get("unseen"), 4), "number", EXPLAINED[NEW_VIDEOS]),
        Column("steps", lambda r: f.count(r["steps"]), "number"),
        Column("training items", lambda r: f.count(r["train_items"]), "number"),
        Column("time", lambda r: f.seconds(r["seconds"]), "number"),
        Column("samples/s", lambda r: f.count(r["samples_per_second"]), "number"),
        Column("parameters", lambda r: f.millions(r["parameters"]), "number"),
        Column(
            "peak memory",
            lambda r: f"{f.count(r['peak_rss_mb'])} MB" if pd.notna(r["peak_rss_mb"]) else f.NOTHING,
            "number",
        ),
    ]
    columns = known(columns, frame, {NEW_VIDEOS: "unseen"})
    return Table(frame, tuple(columns), "Means over seeds.", explained(columns))


def provenance(frame: pd.DataFrame) -> Table:
    """Every run behind the report."""
    columns = [
        Column("run", lambda r: f"{r['recipe']} {r['stage']}\n{r['arm']}, seed {r['seed']}"),
        Column("score", lambda r: f.score(r["score"], 4), "number"),
        Column("metric", lambda r: f.metric(r["metric"])),
        new_videos(4),
        Column("digest", "digest", "code"),
        Column("commit", lambda r: r["commit"] + (" +changes" if r["dirty"] else ""), "code"),
        Column("device", "device"),
        Column("time", lambda r: f.seconds(r["seconds"]), "number"),
        Column(
            "peak memory",
            lambda r: f"{f.count(r['peak_rss_mb'])} MB" if pd.notna(r["peak_rss_mb"]) else f.NOTHING,
            "number",
        ),
    ]
    columns = known(columns, frame, {NEW_VIDEOS: "unseen"})
    return Table(frame, tuple(columns), notes=explained(columns))
