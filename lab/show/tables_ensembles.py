"""The tables of ensembles: all of them, one's members, its growth, and other ways of joining the same members."""

from __future__ import annotations

import inspect

import pandas as pd

from lab.show import formats as f
from lab.show.rows import Row
from lab.show.table import Column, Table
from lab.show.tables import NEW_VIDEOS, known, published_cell
from lib import evaluation

BOOTSTRAP = "95 % interval over validation items (bootstrap)"
PAIRED = "95 % interval of the difference on the same bootstrap samples of validation items"
NEW = f"**{NEW_VIDEOS}**: score on those validation pairs neither of whose videos occurs in a training pair of any member."
INSIDE = (
    "**in-sample**: the same way of joining, learned from the very pairs it is scored on; not a result, "
    "but what one would see without folds."
)
THERE = "and below it the difference from the best member there, with its interval"
BEST = "The best member was chosen by the same items, which flatters it a little."


def ensembles(frame: pd.DataFrame) -> Table:
    """Ensembles of the report (rows of ``ensembles.summary``)."""
    columns = [
        Column(
            "ensemble",
            lambda r: (
                f"[{r['title']}](ensemble_{r['name']}.md)\n{r['recipe']}, {f.plural(int(r['members']), 'member')}"
            ),
        ),
        Column("metric", lambda r: f.metric(r["metric"])),
        Column(
            "score",
            lambda r: f"**{f.score(r['score'])}**\n{f.interval(r['low'], r['high'])}",
            "number",
            f"and below it the {BOOTSTRAP}",
        ),
        Column("best member", lambda r: f.score(r["best"]), "number"),
        Column("gain", gain, "number", f"to the best member; {PAIRED}"),
        Column("verdict", "verdict", "verdict"),
        Column(NEW_VIDEOS, lambda r: unseen(r, digits=3), "number", f"score, {THERE}"),
        Column("oracle", lambda r: f.score(r["oracle"]), "number"),
        Column("published", published_cell, "number", "on the competition's data, not on this corpus"),
    ]
    columns = known(columns, frame, {NEW_VIDEOS: "unseen"})
    return Table(
        frame, tuple(columns), f"Below a score: {BOOTSTRAP}. Gain: to the best member, {PAIRED}. {BEST}", notes(columns)
    )


def members(frame: pd.DataFrame, metric: str) -> Table:
    """Members of an ensemble: alone, and what the ensemble loses without them."""
    columns = [
        Column("member", "member", "code"),
        Column(f.metric(metric), lambda r: f.score(r["score"], 4), "number", "of the member alone"),
        Column("95 % interval", lambda r: f.interval(r["low"], r["high"]), "number", BOOTSTRAP),
        Column(NEW_VIDEOS, lambda r: f.score(r["unseen"], 4), "number", "of the member alone"),
        Column("without it", lambda r: f.score(r["without"], 4), "number", "score of the ensemble of all others"),
        Column("adds", lambda r: f.difference(r["gain"]), "number", "ensemble minus ensemble without it"),
    ]
    columns = known(columns, frame, {NEW_VIDEOS: "unseen"})
    return Table(frame, tuple(columns), f"Best member first. Interval: {BOOTSTRAP}.", notes(columns))


def growth(frame: pd.DataFrame, metric: str) -> Table:
    """The ensemble of the first n members, for every n (rows of ``Result.members``)."""
    rows = frame.assign(n=range(1, len(frame) + 1))
    columns = [
        Column("n", lambda r: str(r["n"]), "number", "members"),
        Column("joins", "member", "code"),
        Column(
            f.metric(metric),
            lambda r: f"{f.score(r['growth'], 4)}\n{f.interval(r['growth_low'], r['growth_high'])}",
            "number",
            f"of the ensemble of the first n, and below it the {BOOTSTRAP}",
        ),
        Column("to the best member", lambda r: gain(r, "growth_") if r["n"] > 1 else None, "number", PAIRED),
        Column("verdict", lambda r: r["growth_verdict"] if r["n"] > 1 else None, "verdict"),
        Column(
            NEW_VIDEOS,
            lambda r: unseen(r, "growth_") if r["n"] > 1 else f.score(r["growth_unseen"], 4),
            "number",
            THERE,
        ),
    ]
    columns = known(columns, rows, {NEW_VIDEOS: "growth_unseen"})
    return Table(rows, tuple(columns), f"The first n members together, best first. {_intervals()}", notes(columns))


def kinds(frame: pd.DataFrame, metric: str) -> Table:
    """Ways of joining the same members (rows of ``lib.stages.ensemble``); the best member alone comes last."""

    def kind(row: Row) -> str:
        first, *rest = row["kind"].split(", ")
        below = [", ".join(rest)] if rest else []
        below += [row["note"]] if row["note"] else []
        below += {"specified": ["as specified"], "best member": ["best member alone"]}.get(row["role"], [])
        return "\n".join([first, *below])

    def score(row: Row) -> str:
        known_score = pd.notna(row["score"])
        return f"{f.score(row['score'], 4)}\n{f.interval(row['low'], row['high'])}" if known_score else f.NOTHING

    def numbers(row: Row) -> str:
        return f.NOTHING if pd.isna(row["width"]) else f.count(row["width"])

    columns = [
        Column("joined by", kind),
        Column(f.metric(metric), score, "number", f"and below it the {BOOTSTRAP}"),
        Column("to the best member", lambda r: gain(r) if _joined(r) else None, "number", PAIRED),
        Column("verdict", lambda r: r["verdict"] if _joined(r) else None, "verdict"),
        Column(NEW_VIDEOS, lambda r: unseen(r) if _joined(r) else f.score(r["unseen"], 4), "number", THERE),
        Column("numbers", numbers, "number", "of one video"),
        Column("in-sample", lambda r: f.score(r["inside"], 4), "number", "learned from the pairs it is scored on"),
    ]
    columns = known(columns, frame, {NEW_VIDEOS: "unseen", "in-sample": "inside"})
    learned = (INSIDE,) if "in-sample" in [column.title for column in columns] else ()
    ways = frame.loc[frame["role"] != "best member", "kind"].map(lambda kind: kind.split(", ")[0]).unique()
    return Table(
        frame,
        tuple(columns),
        f"The same members, joined in other ways. {_intervals()}",
        (*(f"**{way}**: {meaning(way)}" for way in ways), *notes(columns), *learned),
        emphasis=lambda r: "reference" if r["role"] == "best member" else "",
    )


def gain(row: Row, prefix: str = "") -> str:
    """A difference from the best member, and below it its interval."""
    if pd.isna(row[f"{prefix}difference"]):
        return f.NOTHING
    low, high = row[f"{prefix}difference_low"], row[f"{prefix}difference_high"]
    return f"{f.difference(row[f'{prefix}difference'])}\n{f.interval(low, high, 4, signed=True)}"


def unseen(row: Row, prefix: str = "", digits: int = 4) -> str:
    """A score on unseen videos, and below it the difference from the best member there with its interval."""
    score = row[f"{prefix}unseen"]
    if pd.isna(score):
        return f.NOTHING
    return f"{f.score(score, digits)}\n{gain(row, f'{prefix}unseen_')}"


def notes(columns: list[Column]) -> tuple[str, ...]:
    return (NEW,) if NEW_VIDEOS in [column.title for column in columns] else ()


def meaning(component: str) -> str:
    """First sentence of a combiner's docstring.

    >>> meaning("ConcatSvd")
    'Concatenation, then an un-centred truncated SVD.'
    """
    text = " ".join(inspect.getdoc(getattr(evaluation, component)).split())
    return text.split(". ")[0].removesuffix(".") + "."


def _joined(row: Row) -> bool:
    return row["role"] != "best member" and pd.notna(row["score"])


def _intervals() -> str:
    return (
        f"Below a score: {BOOTSTRAP}; below a difference: {PAIRED}. "
        f"Another training run of the members may differ by more. {BEST}"
    )
