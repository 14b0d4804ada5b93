"""What the winners' code really did: where it parts from its write-up or its names, and what that was measured to change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from lab.show import formats as f
from lab.show.answers import Answer
from lab.show.contradictions import contradictions, quirk_of
from lab.show.plan import Plan
from lab.show.quirk_costs import between
from lab.show.rows import Row
from lab.show.site import Site
from lab.show.table import Column, Table
from lab.show.tables import PAIRED
from lib.recipes.load import load
from lib.recipes.specs import Ablation, Contradiction, Recipe

LONG = 40  # characters of a value
NAME, TITLE = "contradictions", "What the winners' code really did"


def page(site: Site, plan: Plan, answers: Sequence[Answer]) -> tuple[str, str]:
    """Write ``contradictions`` and a CSV a system; returns title and file, as the front page lists them."""
    found = frame(plan, answers)
    systems = [(recipe, found[found["recipe"] == recipe].reset_index(drop=True)) for recipe in plan.systems]
    systems = [(recipe, rows) for recipe, rows in systems if len(rows)]
    site.page(
        NAME,
        f"{NAME}.md.j2",
        TITLE,
        eyebrow=f"{f.plural(len(found), 'finding')} in {f.plural(len(systems), 'system')}",
        summary=summary(found),
        systems=[
            {
                "title": load(Recipe, recipe).title,
                "recipe": recipe,
                "summary": summary(rows),
                "table": site.table(f"{NAME}_{recipe}", table(rows)),
            }
            for recipe, rows in systems
        ],
    )
    return TITLE, f"{NAME}.md"


def frame(plan: Plan, answers: Sequence[Answer]) -> pd.DataFrame:
    """One row per contradiction of the plan's systems; ``difference`` is the arm as coded minus the arm as said.

    Raises:
        RecipeError: a row names something that is not there.
    """
    by_name = {answer.name: answer for answer in answers}
    chosen = [row for row in contradictions() if row.recipe in plan.systems]
    return pd.DataFrame([_row(row, by_name) for row in chosen], columns=list(EMPTY))


EMPTY: dict[str, Any] = {
    "recipe": "", "id": "", "said": "", "coded": "", "switch": "", "question": "", "in_report": False, "arms": "",
    "metric": "", "seeds": 0, "difference": float("nan"), "low": float("nan"), "high": float("nan"), "verdict": "",
    "unmeasured": "",
}  # fmt: skip


def _row(row: Contradiction, answers: dict[str, Answer]) -> dict[str, Any]:
    told = {"recipe": row.recipe, "id": row.id, "said": row.said, "coded": row.coded, "unmeasured": row.unmeasured}
    result = EMPTY | told | {"switch": switch(row)}
    if row.measured is None:
        return result
    asked = row.measured
    result |= {"question": asked.question, "arms": f"{asked.coded} against {asked.said}"}
    if asked.question not in answers:
        return result
    cost = between(answers[asked.question], row.recipe, asked.coded, asked.said)
    numbers = ("metric", "seeds", "difference", "low", "high", "verdict")
    return result | {name: getattr(cost, name) for name in numbers} | {"in_report": True}


def switch(row: Contradiction) -> str:
    """What restores the original (a variant, the quirk's paths, or the arm as coded), else what mends it (``not``)."""
    quirk = quirk_of(row)
    if row.variant:
        return f"variant {row.variant}"
    if quirk is not None and quirk.switch:
        return _paths(quirk.switch)
    if row.measured is None:
        return ""
    arms = load(Ablation, row.measured.question).arms
    coded, said = arms[row.measured.coded], arms[row.measured.said]
    return _paths(coded) or _paths(said, "not ")


def _paths(changes: dict[str, Any], before: str = "") -> str:
    """A line a path; long values (lists of patterns) only begin."""
    values = {path: f.value(value) for path, value in changes.items()}
    return "\n".join(f"{before}{p}: {v if len(v) <= LONG else v[:LONG] + '…'}" for p, v in values.items())


def summary(rows: pd.DataFrame) -> str:
    """ "14 listed, 9 with a question, 7 of those in this report; verdicts as coded: 1 hurts." """
    measured = rows[rows["in_report"]]
    seen = measured["verdict"].value_counts()
    told = [f"{seen[verdict]} {verdict}" for verdict in ("hurts", "helps") if verdict in seen]
    asked = int((rows["question"] != "").sum())
    listed = f"{len(rows)} listed, {asked} with a question, {len(measured)} of those in this report"
    if not len(measured):
        return f"{listed}."
    return f"{listed}; verdicts as coded: {', '.join(told) if told else 'no measurable effect anywhere'}."


def table(rows: pd.DataFrame) -> Table:
    """Said, coded, switch and measured effect of one system's rows."""

    def effect(row: Row) -> str:
        lines = []
        if row["in_report"]:
            between = f.interval(row["low"], row["high"], 4, signed=True)
            lines += [f"{f.difference(row['difference'])} {f.metric(row['metric'])}"]
            lines += [between] if between != f.NOTHING else []
            lines += [f"[{row['arms']}](ablation_{row['question']}.md)"]
            if row["difference"] == row["low"] == row["high"] == 0:
                lines += ["every score is the same: it never came into play here"]
        elif row["question"]:
            lines += ["not in this report", f"`make ablation NAME={row['question']}` asks", row["arms"]]
        return "\n".join([*lines, *([row["unmeasured"]] if row["unmeasured"] else [])])

    def coded(row: Row) -> str:
        return "\n".join([row["coded"], *(f"`{line}`" for line in row["switch"].splitlines())])

    columns = (
        Column("said, or taken for granted", lambda r: f"{r['said']}\n`{r['id']}`", hint="below it the number"),
        Column("the code", coded, hint="below it the switch"),
        Column("as coded minus as said", effect, hint=f"score of the arm as coded minus score of the other; {PAIRED}"),
        Column("verdict", lambda r: r["verdict"] or None, "verdict", "on doing what the code does"),
    )
    seeds = int(rows["seeds"].max())
    paired = f", up to {f.plural(seeds, 'paired seed')}" if seeds else ""
    caption = (
        f"Arm as coded minus arm as said{paired}. Interval: {PAIRED}. Below the code stands the switch that restores it or, "
        "after *not*, what the arm as said has instead."
    )
    return Table(rows, columns, caption)
