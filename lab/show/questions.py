"""One question: what its arms switch, what came out, and what may be said of that by rule.

Functions that are given a part (rows of :mod:`lab.show.comparisons`) read no run.
"""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
from IPython.display import Markdown

from lab.show import formats as f
from lab.show import runs, shared
from lab.show.forest import forest as forest_picture
from lab.show.plan import Plan
from lab.show.table import Column, Picture, Row, Table, filled, lines, link, number, signed_interval
from lab.show.verdicts import ONE_ANSWER, compared, digest_of
from lab.show.verdicts import arms as arms_of
from lib.evaluation.compare import HELPS, HURTS, NOT_IN_PLAY, RULED_OUT, TOO_SMALL
from lib.recipes.load import load, names
from lib.recipes.specs import Ablation

SHOWN = ("recipe", "arm", "is_reference", "metric", "n", "score", "sd", "unseen", "claimed", "detectable", "difference", "low", "high",
         "verdict", "sd_seeds", "sd_items", "claimed_source", "scores", "seconds")  # fmt: skip
MEANT = {
    RULED_OUT: " The interval excludes the claimed size.",
    TOO_SMALL: " The interval holds the claimed size and zero: nothing is decided.",
}


# ---- before anything is compared


def title(name: str) -> str:
    """What a page or a section about a question is called.

    >>> title("ema")
    'EMA: Does averaging the weights raise the score?'
    """
    return f"{f.trick(name)}: {load(Ablation, name).question}"


def about(name: str) -> Markdown:
    """What is asked, and what was claimed."""
    spec = load(Ablation, name)
    claims = [
        f"- Claimed: {f.difference(c.value)} {f.metric(c.metric)}, {c.source}" + (f" ({c.note})" if c.note else "")
        for c in spec.claimed
    ]
    told = [spec.about.strip()] if spec.about.strip() else []
    return Markdown("\n\n".join([*told, "\n".join(claims) or "No source gives a number for this."]))


def arms(name: str) -> Table:
    """What each arm switches in the recipe, the reference first."""
    spec = load(Ablation, name)
    laid = {arm: {"model of the system": member} for arm, member in spec.members.items()}
    rows = []
    for arm, changes in sorted(spec.arms.items(), key=lambda arm: arm[0] != spec.reference):
        told = (laid.get(arm, {}) | changes).items()
        switched = "\n".join(f"{path}: {json.dumps(value, ensure_ascii=False)}" for path, value in told)
        name = "reference" if arm == spec.reference else spec.name_of(arm)
        rows.append({"arm": arm, "name": name, "changes": switched or "nothing, the recipe as it is"})
    switched = Column("what is switched in the recipe", "changes", "code")
    columns = (Column("arm", lambda r: f"`{r['arm']}`\n{r['name']}"), switched)
    return Table(pd.DataFrame(rows), columns, emphasis=lambda r: "reference" if r["arm"] == spec.reference else "")


def sizes(plan: Plan, name: str) -> Table:
    """Sizes, cost and seeds of the runs behind a question; arms that differ in sizes have rows of their own. Where seeds
    differ, as folds do, the smallest and the largest stand there.

    Raises:
        MissingRun: a run is absent or stale; names it and its ``make`` line.
    """
    groups = plan.ablation_jobs(name)
    jobs = [job for group in groups.values() for job in group]
    found = runs.rows(jobs).assign(arm=[arm for (_, arm), group in groups.items() for _ in group])
    counts = {"train_items": "training items", "steps": "steps", "scored_items": "scored items"}
    pairs = found.groupby(["recipe", "seed"])
    differ = [title for column, title in counts.items() if (pairs[column].nunique() > 1).any()]
    same, cost = ["recipe", "stage", "corpus"], ("seconds", "mean")
    each = found.groupby([*same, "arm"], sort=False, dropna=False)
    told = each.agg(seconds=cost, **{column: (column, _ranged) for column in counts}).reset_index()
    alike = told.groupby([*same, *counts], sort=False, dropna=False)
    frame = alike.agg(arms=("arm", ", ".join), seconds=cost).reset_index()
    shares = f.listed(["seeds", *(title for title in counts.values() if title not in differ)])
    seeds = plan.seeds_of(name)
    notes = [
        f"Arms of a system share {shares}" + (f"; they differ in {f.listed(differ)}." if differ else "."),
        f"{f.plural(len(seeds), 'seed')} an arm: {', '.join(map(str, seeds))}.",
    ]
    parents = [(job.recipe, parent) for job in jobs for parent in job.parents.values()]
    if once := {f"{shared.system(of)}, {parent.stage}" for of, parent in parents if parent.stage_spec.seed is not None}:
        which = "; ".join(sorted(once))
        notes.append(f"One pretraining feeds all seeds ({which}): the interval covers the noise of later stages only.")
    columns = (
        Column("system", lambda r: f"{shared.system(r['recipe'])}\n{r['stage']}"),
        Column("arms", "arms"),
        Column("corpus", "corpus"),
        *(Column(title, column, "number") for column, title in counts.items()),
        number("a run", "seconds", f.seconds, "training of this stage, mean"),
    )
    return Table(frame, columns, notes=tuple(notes))


def _ranged(values: pd.Series) -> str:
    """ "1,152 to 1,180", or one number."""
    numbers = pd.to_numeric(values)
    return " to ".join(dict.fromkeys(f.count(edge) for edge in (numbers.min(), numbers.max())))


# ---- what came out


def with_scores(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows of arms with ``is_reference`` and ``scores``: those of the runs, in their order, with blanks between."""
    key = ["ablation", "recipe", "arm"]
    each = frame[frame["seed"].notna()].groupby(key, sort=False)["score"].agg(lambda run: " ".join(map(str, run)))
    rows = arms_of(frame).merge(each.rename("scores"), left_on=key, right_index=True, validate="one_to_one")
    return rows.assign(is_reference=rows["reference"] == "")


def table(part: pd.DataFrame, known: pd.DataFrame | None = None) -> Table:
    """One question: of each system the reference first, then each arm with its paired difference; then floors and ceiling.

    Args:
        known: of ``floors.of_plan``; those on whose items the arms are scored have rows.
    """
    rows = with_scores(part)
    metric = f.metric(rows["metric"].iloc[0]) if rows["metric"].nunique() == 1 else "score"
    several, spec = rows["recipe"].nunique() > 1, load(Ablation, rows["ablation"].iloc[0])
    frame, beside = rows[list(SHOWN)], ""
    if known is not None and len(known):
        same = known["metric"].isin(rows["metric"]) & (known["scored_on"].eq(spec.scored_on) | (spec.scored_on == ""))
        floors = known.loc[same, ["floor", "label", "corpus", "metric", "score"]]
        if len(floors):
            frame = pd.concat([frame, floors], ignore_index=True)
            beside = "Grey: what needs no network, and the best that any model could reach."
    against, asked = _against(rows), rows["ablation"].iloc[0]

    def arm(row: Row) -> str:
        if pd.notna(row.get("floor")):
            return lines(row["floor"], row["label"], row["corpus"] if several else "")
        name = "reference" if row["is_reference"] else spec.name_of(row["arm"])
        other = against[asked, row["recipe"], row["arm"]]
        return f"`{row['arm']}`\n{name}{other}" + (f", {shared.system(row['recipe'])}" if several else "")

    columns = (
        Column("arm", arm),
        shared.VERDICT,
        number(metric, "score", f.score, "mean over seeds"),
        number("sd", "sd", f.effect, "standard deviation over seeds"),
        shared.NEW_VIDEOS,
        shared.CLAIMED,
        shared.DETECTABLE,
        number("measured", "difference", f.difference, f"arm minus {_to(part)}, run by run"),
        shared.PAIRED_INTERVAL,
        number("training", "seconds", f.seconds, "of this stage, mean over seeds"),
    )
    caption = [f"{f.plural(int(rows['n'].max()), 'seed')} an arm."]
    if rows["low"].notna().any():
        caption.append(f"Interval: {shared.PAIRED}. Could be seen: {shared.COULD_BE_SEEN}.")
    caption += ["Training: time by the clock, whatever else ran on the machine.", _noise(rows), beside]
    return Table(
        frame,
        filled(rows, columns),
        " ".join(filter(None, caption)),
        emphasis=lambda r: "reference" if r["is_reference"] is True else "single" if pd.isna(r["is_reference"]) else "",
        name=f"{'check' if rows['check'].iloc[0] else 'ablation'}_{rows['ablation'].iloc[0]}",
    )


def _noise(rows: pd.DataFrame) -> str:
    known = rows[["sd_seeds", "sd_items"]].median()
    if known.isna().any():
        return ""
    seeds, items = map(f.effect, known)
    return f"Noise of a difference, median: {seeds} from seed to seed, {items} from one set of test items to another."


def verdicts(frame: pd.DataFrame, name: str) -> Table:
    """One line per comparison: what a report found, by its interval alone and judged together with all others.

    Args:
        frame: any rows of the table of comparisons.
        name: of the CSV.
    """
    rows = with_scores(frame)[lambda rows: ~rows["is_reference"]].reset_index(drop=True)
    against = _against(rows)

    def asked(row: Row) -> str:
        name = link(shared.trick(row["ablation"], row["arm"]), "question", row["ablation"])
        return f"{name}{against[row['ablation'], row['recipe'], row['arm']]}\n{shared.system(row['recipe'])}"

    told = "if all comparisons of the track and of its kind are judged together"
    holm = number("p after Holm", "holm", f.chance, told)
    measured = (shared.VERDICT, shared.CLAIMED, shared.DETECTABLE, shared.DIFFERENCE, shared.PAIRED_INTERVAL)
    columns = (Column("trick", asked), *measured, holm)
    few, many = int(rows["n"].min()), int(rows["n"].max())
    seeds = f.plural(many, "paired seed") if few == many else f"{few} to {f.plural(many, 'paired seed')}"
    caption = (
        f"Arm minus reference, {seeds}. Interval: {shared.PAIRED}. A verdict looks at one interval alone, p after Holm at all "
        "claims at once, all quirks or all leaks; what was never in play, and a comparison that is there twice, do not count. "
        f"Could be seen: {shared.COULD_BE_SEEN}."
    )
    return Table(rows[[*SHOWN, "ablation", "question", "family", "p", "holm"]], columns, caption, name=name)


def forest(frame: pd.DataFrame, name: str) -> Picture:
    """Paired differences to the reference arm with their intervals.

    Args:
        frame: any rows of the table of comparisons.
        name: of the picture and its CSV.
    """
    rows = compared(frame)
    labels = [shared.trick(row["ablation"], row["arm"]) for row in rows.to_dict("records")]
    if rows["recipe"].nunique() > 1:
        labels = [f"{label} · {shared.system(recipe)}" for label, recipe in zip(labels, rows["recipe"], strict=True)]
    return forest_picture(rows.assign(label=labels), name, _to(frame), shared.PAIRED)


def _to(frame: pd.DataFrame) -> str:
    """What arms are compared with: a question may compare each with the arm before."""
    parts = [part for _, part in compared(frame).groupby(["ablation", "recipe"], sort=False)]
    if frame["ablation"].nunique() > 1 or all(part["reference"].nunique() == 1 for part in parts):
        return "the reference arm"
    chain = all(part["reference"].tolist()[1:] == part["arm"].tolist()[:-1] for part in parts)
    return "the arm before" if chain else "the arm that it is held against"


def _against(rows: pd.DataFrame) -> dict[tuple[str, str, str], str]:
    """(question, recipe, arm) -> " against" the arm that it is compared with, where that is not the question's reference."""
    found = {}
    for row in rows.to_dict("records"):
        name, other = row["ablation"], row["reference"]
        other_called = name in names(Ablation) and other in load(Ablation, name).called
        told = f" against {shared.trick(name, other)}" if other_called else ""
        found[name, row["recipe"], row["arm"]] = told
    return found


# ---- what may be said


def reading(part: pd.DataFrame) -> Markdown:
    """A sentence per comparison, by rule: measured, claimed, and what could have been seen."""
    spec = load(Ablation, part["ablation"].iloc[0])
    return Markdown("\n".join(f"- {_sentence(row, spec)}" for row in compared(part).to_dict("records")))


def _sentence(row: dict[str, Any], spec: Ablation) -> str:
    against = f" against {spec.name_of(row['reference'])}" if row["reference"] in spec.called else ""
    text = f"{shared.system(row['recipe'])}, {spec.name_of(row['arm'])}{against}: **{row['verdict']}**. "
    if row["verdict"] == NOT_IN_PLAY:
        return text + "Every prediction is the same in both arms: what is switched changed no number here."
    if row["verdict"] == ONE_ANSWER:
        return text + "Every run gives all items the same answer: it has learnt nothing that a switch could change."
    between = signed_interval(row)
    worth = f.difference(row["difference"]) + (f" (95 % interval {between})" if between != f.NOTHING else "")
    text += f"Measured: {worth} {f.metric(row['metric'])} over {f.plural(int(row['n']), 'seed')}."
    if pd.notna(row["claimed"]):
        text += f" Claimed: {f.difference(row['claimed'])} ({row['claimed_source']})."
    if row["verdict"] not in (HELPS, HURTS) and pd.notna(row["detectable"]):
        text += f" Effects below {f.effect(row['detectable'])} would usually be missed."
    return text + MEANT.get(row["verdict"], "")


def discussion(part: pd.DataFrame) -> Markdown | None:
    """What the question's file says of the numbers, or, where it speaks of others, that nothing is said of these yet."""
    spec = load(Ablation, part["ablation"].iloc[0])
    if not spec.discussions:
        return None
    if (now := digest_of(part)) in spec.discussions:
        return Markdown("## Discussion\n\n" + spec.discussions[now].strip())
    return Markdown(
        f"No discussion of these numbers (`{now}`) is written; what `params/ablations/{part['ablation'].iloc[0]}.yaml` says is about "
        "others."
    )
