"""The ensembles of a plan: what ``lib.stages.ensemble`` computes of their members, as tables, figures and sentences."""

from __future__ import annotations

import inspect
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from IPython.display import Markdown

from lab.show import floors, runs, shared, style, systems
from lab.show import formats as f
from lab.show.forest import forest
from lab.show.plan import Plan
from lab.show.table import Column, Picture, Row, Table, filled, lines, link, number
from lib import evaluation
from lib.evaluation.ensemble import FIRST_VIDEOS
from lib.recipes.load import file_of, load
from lib.recipes.specs import EnsembleSpec, Recipe
from lib.runs.kinds import scored_on
from lib.runs.paths import shown
from lib.stages import ensemble
from lib.stages.ensemble import FEWEST, UNSEEN, Result
from lib.stages.ensemble import write as write

PAIRED = "95 % interval of the difference on the same bootstrap samples of the scored items"
BEST = "The best member is that of validation; where there is no test part it is judged by the same items, which flatters it."
NEW = "score on those validation pairs neither of whose videos occurs in a training pair of any member"
INSIDE = "the same way of joining, learned from the very pairs it is scored on; not a result, but what one would see without folds"
APART = (
    "The test part shares no video with training; the best member is that of validation, and what is learned from scores is "
    "learned there."
)
TOO_FEW = "have no video that occurs in a training pair: too few to say whether the gain holds on new videos."
NOTES = {"unseen videos": NEW, "in-sample": INSIDE}


def folder(plan: Plan, name: str) -> Path:
    """Where ``06_ensemble`` leaves what it computes."""
    return plan.runs_folder / "ensembles" / name


def combine(plan: Plan, name: str) -> Result:
    """``lib.stages.ensemble.combine`` of a plan's members. Raises KeyError: the plan has no such ensemble."""
    members, spec = plan.ensemble_members(name), plan.ensembles[name]
    return ensemble.combine(
        name, spec, members, load(Recipe, spec.recipe).submission, shown(file_of(EnsembleSpec, name))
    )


def read(plan: Plan, name: str) -> Result:
    """``lib.stages.ensemble.read`` of what ``06_ensemble`` has written."""
    command = f"make ensemble NAME={name} SCALE={plan.scale}" + (
        f" CORPUS={shlex.quote(plan.corpus)}" if plan.corpus else ""
    )
    return ensemble.read(folder(plan, name), plan.ensembles[name], plan.ensemble_jobs(name), f"Make it with: {command}")


# ---- all ensembles of a plan


def of_plan(plan: Plan) -> pd.DataFrame:
    """One row per ensemble: score, best member's score and difference from it with intervals, all in units of ``metric``.

    Raises:
        MissingRun: one has not been made, or not from these members; names the command.
    """
    rows, known = [], floors.of_plan(plan) if plan.ensembles else pd.DataFrame()
    for name, spec in plan.ensembles.items():
        untrained = floors.score(known, plan.ensemble_jobs(name)[0].corpus.label)
        rows.append(summary(name, spec, read(plan, name)) | {"untrained": untrained})
    return pd.DataFrame(rows, columns=None if rows else ["name", "metric"])


def summary(name: str, spec: EnsembleSpec, result: Result) -> dict[str, Any]:
    """A row of :func:`of_plan`."""
    kind, metric = result.kinds.iloc[0], result.metrics["primary"]
    row = {"name": name, "title": spec.title, "recipe": spec.recipe, "members": len(result.members), "metric": metric}
    row |= {"score": kind["score"], "low": kind["low"], "high": kind["high"], "best": kind["best_score"]}
    ends = ("difference", "difference_low", "difference_high")
    row |= {key: kind.get(key) for key in (*ends, "verdict", UNSEEN, *(f"unseen_{end}" for end in ends))}
    published = "; ".join(f"{p.value} ({p.split})" for p in spec.published if p.metric == metric)
    return row | {"oracle": result.metrics["oracle"].get(metric), "published": published}


def table(frame: pd.DataFrame) -> Table:
    """Ensembles of a report: rows of :func:`of_plan`."""

    def title(row: Row) -> str:
        of = f"{shared.system(row['recipe'])}, {f.plural(row['members'], 'member')}"
        return f"{link(row['title'], 'ensemble', row['name'])}\n{of}"

    columns = (
        Column("ensemble", title),
        shared.METRIC,
        Column("score", _score, "number", f"and below it the {shared.ITEMS}"),
        number("best member", "best"),
        Column("gain", _gain, "number", f"over the best member; {PAIRED}", "difference"),
        shared.VERDICT,
        Column("unseen videos", _unseen, "number", "score and gain there", "unseen"),
        number("untrained", "untrained", hint="what needs no training reaches on the same items"),
        shared.ORACLE,
        Column("published", "published", "number", "on the competition's data", "published"),
    )
    return _table(
        frame, columns, f"Below a score: {shared.ITEMS}. Gain: over the best member, {PAIRED}. {BEST}", "ensembles"
    )


# ---- one ensemble


def about(name: str) -> Markdown:
    """What is joined, and how."""
    spec = load(EnsembleSpec, name)
    return Markdown(f"{spec.title}: `{ensemble.label(spec.combine)}`.\n\n{spec.about.strip()}")


def members(plan: Plan, name: str) -> Table:
    """The runs an ensemble joins. Raises MissingRun: one is absent."""
    return runs.every(runs.rows(plan.ensemble_jobs(name)), f"runs_{name}")


def published(name: str) -> Table:
    """Scores that the ensemble's authors published."""
    return systems.scores_of(load(EnsembleSpec, name).published, {}, name)


def kinds(result: Result) -> Table:
    """Ways of joining the same members, as specified first; the best member alone comes last."""

    def kind(row: Row) -> str:
        first, _, rest = row["kind"].partition(", ")
        role = {"specified": "as specified", "best member": "best member alone"}.get(row["role"], "")
        return lines(first, rest, row["note"], role)

    metric = f.metric(result.metrics["primary"])
    columns = (
        Column("joined by", kind),
        Column(metric, _score, "number", f"and below it the {shared.ITEMS}"),
        Column("against the best member", lambda r: _gain(r) if _joined(r) else None, "number", PAIRED, "difference"),
        Column("verdict", lambda r: r["verdict"] if _joined(r) else None, "verdict", needs="verdict"),
        Column("unseen videos", lambda r: _unseen(r, gain=_joined(r)), "number", "score and gain there", "unseen"),
        number("numbers", "width", f.count, "of one video"),
        number("in-sample", "inside", f.score, "learned from the pairs it is scored on"),
    )
    ways = result.kinds.loc[result.kinds["role"] != "best member", "kind"].map(lambda way: way.split(", ")[0]).unique()
    notes = tuple(f"**{way}**: {meaning(way)}" for way in ways)
    caption = (
        f"The same members, joined in other ways. Below a score: {shared.ITEMS}; below a difference: {PAIRED}. Another "
        f"training run of the members may differ by more. {BEST}"
    )
    return _table(result.kinds, columns, caption, f"kinds_{result.metrics['ensemble']}", notes)


def _joined(row: Row) -> bool:
    return row["role"] != "best member" and pd.notna(row["score"])


def meaning(component: str) -> str:
    """First sentence of a way of joining.

    >>> meaning("ConcatSvd")
    'Concatenation, then an un-centred truncated SVD.'
    """
    text = " ".join(str(inspect.getdoc(getattr(evaluation, component))).split())
    return text.split(". ")[0].removesuffix(".") + "."


def kinds_forest(result: Result) -> Picture:
    """Differences of all ways of joining from the best member."""
    rows = result.kinds[(result.kinds["role"] != "best member") & result.kinds["score"].notna()]
    frame = rows[["difference", "verdict"]].assign(low=rows["difference_low"], high=rows["difference_high"])
    frame = frame.assign(label=rows["kind"], metric=result.metrics["primary"])
    return forest(frame, f"forest_{result.metrics['ensemble']}", "the best member", PAIRED)


def added(result: Result) -> Table:
    """Members alone, best first, and what the ensemble loses without each."""
    metric = f.metric(result.metrics["primary"])
    columns = (
        Column("member", "member", "code"),
        Column(metric, _score, "number", f"of the member alone, and below it the {shared.ITEMS}"),
        number("unseen videos", "unseen", f.score, "of the member alone"),
        number("without it", "without", f.score, "score of the ensemble of all others"),
        number("adds", "gain", f.difference, "ensemble minus ensemble without it"),
    )
    first = "Best member of validation" if scored_on(result.metrics["scores"]) == "test" else "Best member"
    caption = f"{first} first. Below a score: {shared.ITEMS}."
    return _table(result.members, columns, caption, f"members_{result.metrics['ensemble']}")


def growth(result: Result, known: pd.DataFrame) -> Picture:
    """Score of the ensemble of the first n members, best first, beside each member alone.

    Args:
        known: of ``floors.of_corpus``, drawn as lines.
    """
    frame, metric = result.members.assign(n=range(1, len(result.members) + 1)), f.metric(result.metrics["primary"])
    low, high = frame["growth_low"], frame["growth_high"]
    figure, axis = style.canvas(height=2.8)
    axis.vlines(frame["n"], low, high, color=style.SKY, linewidth=2.6, label="95 % interval")
    axis.plot(frame["n"], frame["score"], "o", color=style.MUTED, markersize=8, label="the n-th member alone")
    axis.plot(frame["n"], frame["growth"], color=style.BLUE, marker="o", label="ensemble of the first n")
    floors.lines(axis, known)
    axis.set_xticks(frame["n"])
    axis.margins(y=0.15)
    axis.set(xlabel="members", ylabel=metric)
    figure.legend(loc="outside lower right", ncols=3)
    alt = f"{metric} of the first n members: {', '.join(f.score(score) for score in frame['growth'])}"
    caption = f"Interval: {shared.ITEMS}. Its CSV has the difference from the best member at every size. {BEST}"
    return Picture(figure, frame, f"growth_{result.metrics['ensemble']}", alt, caption)


def similarity(result: Result) -> Picture:
    """How alike the members' predictions are: rank correlations; the less alike, the more there is to gain."""
    names = list(result.members["member"])
    matrix = pd.DataFrame(result.similarity, index=pd.Index(names, name="member"), columns=names)
    size = 1.1 + 0.42 * len(names)
    figure, axis = style.canvas(width=min(style.WIDTH, size + 2.0), height=min(6.0, size + 0.7))
    off = result.similarity[~np.eye(len(names), dtype=bool)]
    low = float(off.min()) if len(off) else 0.0
    sns.heatmap(
        matrix, mask=np.eye(len(names), dtype=bool), annot=True, fmt=".3f", cmap=style.HEAT, vmin=low - 0.15 * (1 - low),
        vmax=1, square=True, ax=axis, cbar_kws={"shrink": 0.7, "label": "rank correlation"}, annot_kws={"fontsize": 8},
    )  # fmt: skip
    axis.set(xlabel="", ylabel="")
    axis.grid(visible=False)
    axis.tick_params(axis="x", rotation=45)
    axis.tick_params(axis="y", rotation=0)
    alt = f"Rank correlations of what each two of {f.plural(len(names), 'member')} predict, {f.score(low)} at least"
    caption = "Rank correlation of what each two members predict. The less alike two good members are, the more they gain together."
    return Picture(figure, matrix.reset_index(), f"similarity_{result.metrics['ensemble']}", alt, caption)


def _table(
    frame: pd.DataFrame, columns: tuple[Column, ...], caption: str, name: str, notes: tuple[str, ...] = ()
) -> Table:
    kept = filled(frame, columns)
    notes += tuple(f"**{title}**: {NOTES[title]}." for title in (column.title for column in kept) if title in NOTES)
    return Table(frame, kept, caption, notes, lambda r: "reference" if r.get("role") == "best member" else "", name)


def _score(row: Row) -> str:
    """A score, and below it its interval over items."""
    return f.ranged(row["score"], row["low"], row["high"])


def _gain(row: Row, prefix: str = "") -> str:
    """A difference from the best member, and below it its interval."""
    return f.ranged(*(row[f"{prefix}difference{end}"] for end in ("", "_low", "_high")), signed=True)


def _unseen(row: Row, *, gain: bool = True) -> str:
    """A score on unseen videos, and below it the difference from the best member there with its interval."""
    return lines(f.score(row["unseen"]), _gain(row, "unseen_") if gain and pd.notna(row["unseen"]) else "")


# ---- what may be said


def reading(result: Result) -> Markdown:
    """Does it beat its best member? On all items, on pairs of unseen videos, and how what is learned from pairs was judged."""
    kind, items, metric = dict(result.kinds.iloc[0]), result.metrics["items"], result.metrics["primary"]
    what, part = "pairs" if metric == "spearman" else "videos", scored_on(result.metrics["scores"])
    chosen = "by validation" if part == "test" else "there"
    told = [_sentence(f"On all {f.count(items[part])} {part} {what}", kind, "", metric, chosen)]
    if part == "test":
        told.append(APART)
    elif what == "pairs" and items["unseen"] == items["validation"]:
        told.append(
            "No member was trained on a pair with one of these videos, so nothing leaks into this score that way."
        )
    elif what == "pairs" and items["unseen"] < FEWEST:
        told.append(f"Only {f.plural(items['unseen'], 'pair')} of {f.count(items['validation'])} {TOO_FEW}")
    elif what == "pairs":
        where = f"On the {f.count(items['unseen'])} pairs whose videos are in no training pair of any member"
        told.append(_sentence(where, kind, "unseen_", metric, chosen))
    if folds := result.metrics.get("folds_of"):
        why = " (most pairs hang together in one component of videos)" if folds == FIRST_VIDEOS else ""
        told.append(
            f"Weights are learned from scored pairs in folds of {folds}{why}; every pair is judged by a fit that did not see it."
        )
    return Markdown("\n".join(f"- {sentence}" for sentence in told))


def _sentence(where: str, kind: dict[str, Any], prefix: str, metric: str, chosen: str) -> str:
    """``chosen``: where the best member is the best."""
    between = f.interval(kind[f"{prefix}difference_low"], kind[f"{prefix}difference_high"], signed=True)
    score = kind["unseen" if prefix else "score"]
    return (
        f"{where}: **{kind[f'{prefix}verdict']}**. The ensemble reaches {f.score(score)} {f.metric(metric)}, its best "
        f"member {chosen}, `{kind[f'{prefix}best']}`, {f.score(kind[f'{prefix}best_score'])}: "
        f"{f.difference(kind[f'{prefix}difference'])} (95 % interval over items {between})."
    )
