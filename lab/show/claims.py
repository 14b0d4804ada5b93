"""What was claimed, beside what was measured: the ledger, what the code did beside its write-up, how much of it is here.

Functions that take ``frame`` read the table of comparisons (:mod:`lab.show.comparisons`). A cost has one sign throughout:
score of the arm that does what the original's code does, minus score of the arm that does not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from lab.show import elsewhere, runs, shared
from lab.show import formats as f
from lab.show.comparisons import between
from lab.show.plan import Plan
from lab.show.specs import Claims, Contradiction, Contradictions, Coverage, OtherClaim
from lab.show.table import Column, Row, Table, lines, link, number, signed_interval
from lab.show.verdicts import compared
from lib.evaluation.compare import HELPS, HURTS, NOT_IN_PLAY, verdict_of
from lib.recipes.errors import RecipeError, require
from lib.recipes.load import file_of, load, names, read_yaml
from lib.recipes.specs import Ablation, Claim, EnsembleSpec, FeatureSet, Quirk, Recipe
from lib.runs.paths import PROJECT, shown

NOT_HERE = "not asked in this report"
NONE = float("nan")
COSTS = {"seeds": 0, "difference": NONE, "low": NONE, "high": NONE, "verdict": ""}
LONG = 40  # characters of a value


# ---- the ledger

LEDGER: dict[str, Any] = {
    "trick": "", "page": "", "metric": "", "claimed": None, "claimed_in": "", "source": "", "recipe": "", "arm": "",
    "measured": None, "low": None, "high": None, "holm": None, "detectable": None, "verdict": "", "elsewhere": "", "touched": "", "note": "",
}  # fmt: skip


def check_claims() -> None:
    """Raises RecipeError: a claim names a system, an arm or an ensemble that is not there."""
    for name in names(Ablation):
        spec = load(Ablation, name)
        for claim in spec.claimed:
            require(claim.recipe or spec.recipes[0], spec.recipes, f"ablation {name}: claimed: recipe")
            require(claim.arm or spec.reference, spec.arms, f"ablation {name}: claimed: arm")
    for other in load(Claims, "claims").others:
        if other.ensemble:
            file_of(EnsembleSpec, other.ensemble)


def ledger(plan: Plan, frame: pd.DataFrame, ensembles: pd.DataFrame, reports: Path | None = None) -> pd.DataFrame:
    """One row per claim of the contests whose systems the plan holds, in the order of ``params``.

    Args:
        ensembles: of ``ensembles.of_plan``; a claim of an ensemble is held against the best of its members.
        reports: folder of all reports, by default where the plan's own lies; those on other corpora fill
            ``elsewhere``.

    Returns:
        the columns of ``LEDGER``. ``claimed`` is in units of ``claimed_in``; ``measured``, ``low``, ``high`` and ``detectable``
        are in units of ``metric``, that of the track. Where nothing is measured, ``note`` says why.
    """
    others = elsewhere.reports(plan, reports)
    claimed = [*_of_questions(compared(frame), others), *_of_others(ensembles.set_index("name", drop=False))]
    rows = []
    for claim, why, row in claimed:
        about = {"claimed": claim.value, "claimed_in": claim.metric, "source": claim.source, "touched": claim.touched}
        rows.append(LEDGER | about | row | {"note": "; ".join(filter(None, (claim.note, why)))})
    table = pd.DataFrame(rows, columns=list(LEDGER))
    return table[table["metric"].isin({runs.contest_metric(r) for r in plan.systems})].reset_index(drop=True)


Held = tuple[Claim | OtherClaim, str, dict[str, Any]]  # a claim, why nothing is measured, fields of its row


def _of_questions(frame: pd.DataFrame, others: dict[str, pd.DataFrame]) -> Iterator[Held]:
    for name in names(Ablation):
        spec = load(Ablation, name)
        for claim in spec.claimed:
            there = {corpus: _against(compared(other), name, claim) for corpus, other in others.items()}
            told = [f"{c}: {f.difference(r['difference'])}, {_verdict(claim, r)}" for c, r in there.items() if r]
            # the track's metric, whatever the claim was made in
            row = {"metric": runs.contest_metric(spec.recipes[0]), "elsewhere": "; ".join(told), "verdict": NOT_HERE}
            row["trick"] = shared.trick(name, claim.arm or next(iter(spec.called), spec.reference))
            if (found := _against(frame, name, claim)) is None:
                yield claim, f"`make ablation NAME={name}` asks", row
                continue
            row |= {key: found[key] for key in ("recipe", "arm", "low", "high", "holm", "detectable")}
            row |= {"page": f"question/{name}", "measured": found["difference"], "verdict": _verdict(claim, found)}
            yield claim, "", row


def _verdict(claim: Claim, found: dict[str, Any]) -> str:
    """Of several claims each has its own, where the interval says anything."""
    if claim.metric != found["metric"] or found["verdict"] == NOT_IN_PLAY or pd.isna(found["low"]):
        return str(found["verdict"])
    return verdict_of(found["low"], found["high"], claim.value)


def _against(frame: pd.DataFrame, name: str, claim: Claim) -> dict[str, Any] | None:
    """The first comparison that a claim is about, if there is one."""
    rows = frame[frame["ablation"] == name].to_dict("records")
    return next((dict(row) for row in rows if claim.is_about(row["recipe"], row["arm"])), None)


def _of_others(ensembles: pd.DataFrame) -> Iterator[Held]:
    for claim in load(Claims, "claims").others:
        row = {"trick": claim.trick, "metric": claim.metric, "verdict": "not tested" if claim.untested else NOT_HERE}
        if claim.ensemble not in ensembles.index:
            yield claim, claim.untested or f"`make ensemble NAME={claim.ensemble}` shows it", row
            continue
        found = ensembles.loc[claim.ensemble]
        row |= {"page": f"ensemble/{claim.ensemble}", "recipe": found["recipe"], "arm": "against its best member"}
        row |= {"low": found["difference_low"], "high": found["difference_high"], "measured": found["difference"]}
        verdict = found["verdict"] if claim.value is None else verdict_of(row["low"], row["high"], claim.value)
        yield claim, "", row | {"verdict": verdict}


def ledger_table(rows: pd.DataFrame, metric: str) -> Table:
    """The rows of one metric."""
    rows = rows.loc[rows["metric"] == metric]
    rows = rows.sort_values("measured", key=lambda column: column.isna(), kind="stable", ignore_index=True)

    def claim(row: Row) -> str:
        kind, _, name = row["page"].partition("/")
        return lines(link(row["trick"], kind, name) if name else row["trick"], row["source"])

    def measured(row: Row) -> str:
        holm = f"p {f.chance(row['holm'])} after Holm" if pd.notna(row["holm"]) else ""
        where = shared.system(row["recipe"]) if row["recipe"] else ""
        return lines(f.difference(row["measured"]), signed_interval(row), holm, where)

    columns = (
        Column("claim", claim),
        shared.VERDICT,
        Column("measured", measured, "number", f"{shared.PAIRED}; p-value if all are judged together; where"),
        shared.CLAIMED,
        shared.DETECTABLE,
        Column("remarks", lambda r: lines(r["elsewhere"], r["touched"], r["note"]), hint="other corpora; why not"),
    )
    held = rows[(rows["claimed"].fillna(0) != 0) & rows["detectable"].notna()]
    small = int((held["claimed"].astype(float).abs() < held["detectable"].astype(float)).sum())
    caption = (
        "One row per claim, measured ones first. Claims belong to other data and larger models: do not subtract. "
        f"{small or 'None'} of {f.plural(len(held), 'measured claim')} of a size {'is' if small == 1 else 'are'} smaller "
        "than what could be seen."
    )
    return Table(rows, columns, caption, name=f"claims_{metric}")


# ---- what the code did


def contradictions() -> tuple[Contradiction, ...]:
    """``params/contradictions.yaml`` in its order; ``coded`` is filled in from the recipe's quirks where it was left out.

    Raises:
        RecipeError: a row names a recipe, variant, question or arm that is not there, or a switch twice.
    """
    return tuple(_checked(row) for row in load(Contradictions, "contradictions").rows)


def _checked(row: Contradiction) -> Contradiction:
    where = f"{shown(file_of(Contradictions, 'contradictions'))}: {row.recipe} {row.id}"
    require(row.recipe, names(Recipe), f"{where}: recipe")
    quirk = quirk_of(row)
    if row.variant:
        require(row.variant, load(Recipe, row.recipe).variants, f"{where}: variant")
        if quirk is not None and quirk.switch:
            raise RecipeError(f"{where}: variant: the recipe's quirk has a switch already; leave variant out")
    if row.measured is not None:
        require(row.measured.question, names(Ablation), f"{where}: measured.question")
        spec = load(Ablation, row.measured.question)
        require(row.recipe, spec.recipes, f"{where}: measured.question: {row.measured.question} does not ask of recipe")
        require(row.measured.coded, spec.arms, f"{where}: measured.coded")
        require(row.measured.said, spec.arms, f"{where}: measured.said")
    if not row.coded and quirk is None:
        raise RecipeError(f"{where}: coded: missing, and the recipe lists no quirk of that id to take it from")
    return row if row.coded or quirk is None else row.model_copy(update={"coded": quirk.says})


def quirk_of(row: Contradiction) -> Quirk | None:
    """The recipe's own entry of that id."""
    return next((quirk for quirk in load(Recipe, row.recipe).quirks if quirk.id == row.id), None)


def contradicted(plan: Plan, frame: pd.DataFrame) -> pd.DataFrame:
    """One row per contradiction of the plan's systems; ``difference`` is the arm as coded minus the arm as said."""
    asked, rows = set(zip(frame["ablation"], frame["recipe"], strict=True)), []
    for found in (row for row in contradictions() if row.recipe in plan.systems):
        row = {**found.model_dump(include={"recipe", "id", "said", "coded", "unmeasured"}), "switch": _switch(found)}
        row |= {"question": "", "in_report": False, "arms": "", "metric": "", **COSTS}
        if (by := found.measured) is not None:
            name_of = load(Ablation, by.question).name_of
            row |= {"question": by.question, "arms": f"{name_of(by.coded)} against {name_of(by.said)}"}
            row["in_report"] = (by.question, found.recipe) in asked
            if row["in_report"]:
                row |= between(plan, frame, by.question, found.recipe, by.coded, by.said)
        rows.append(row)
    measured = ("question", "in_report", "arms", "metric", *COSTS, "unmeasured")
    columns = ("recipe", "id", "said", "coded", "switch", *measured)
    return pd.DataFrame(rows, columns=list(columns)).astype({"in_report": bool})


def _switch(row: Contradiction) -> str:
    """What restores the original (a variant, the quirk's paths, or the arm as coded), else what mends it (``not``)."""
    quirk = quirk_of(row)
    if row.variant:
        return f"variant {row.variant}"
    if quirk is not None and quirk.switch:
        return _paths(quirk.switch)
    if row.measured is None:
        return ""
    arms = load(Ablation, row.measured.question).arms
    return _paths(arms[row.measured.coded]) or _paths(arms[row.measured.said], "not ")


def _paths(changes: dict[str, Any], before: str = "") -> str:
    """A line a path; long values (lists of patterns) only begin."""
    values = {path: f.value(value) for path, value in changes.items()}
    return "\n".join(f"{before}{p}: {v if len(v) <= LONG else v[:LONG] + '…'}" for p, v in values.items())


def contradiction_table(rows: pd.DataFrame, recipe: str) -> Table:
    """Said, coded, switch and measured effect of one system; rows of :func:`contradicted`."""
    rows = rows.loc[rows["recipe"] == recipe].reset_index(drop=True)

    def effect(row: Row) -> str:
        same = "every score is the same: it never came into play here" if row["low"] == row["high"] == 0 else ""
        if row["in_report"]:
            worth = f"{f.difference(row['difference'])} {f.metric(row['metric'])}"
            where = link(row["arms"], "question", row["question"])
            return lines(worth, signed_interval(row), where, same, row["unmeasured"])
        asks = f"`make ablation NAME={row['question']}` asks" if row["question"] else ""
        return lines(asks and "not in this report", asks, row["arms"], row["unmeasured"])

    columns = (
        Column("described, or taken for granted", lambda r: f"{r['said']}\n{r['id']}"),
        Column("verdict", "verdict", "verdict", "on doing what the code does"),
        Column("implemented", lambda r: lines(r["coded"], *(f"`{line}`" for line in r["switch"].splitlines()))),
        Column("implemented minus described", effect, hint=shared.PAIRED),
    )
    measured = rows[rows["in_report"]]
    effects = measured.loc[measured["verdict"].isin((HELPS, HURTS)), "verdict"].value_counts()
    told = ", ".join(f"{count} {verdict}" for verdict, count in effects.items()) or "no effect seen anywhere"
    if rows.empty:
        return Table(rows, columns, "No such case is known.", name="")
    caption = (
        f"{int((rows['question'] != '').sum())} of the {f.plural(len(rows), 'case')} have an experiment, "
        f"{len(measured) or 'none'} of them ran"
        f"{f'; doing what the code does: {told}' if len(measured) else ''}. Below the code: the switch that restores it or, after *not*, "
        "what the described arm has instead."
    )
    return Table(rows, columns, caption, name=f"contradictions_{recipe}")


# ---- coverage

KINDS = {kind.folder.rstrip("s"): kind for kind in (Ablation, EnsembleSpec, FeatureSet)}


def check_coverage() -> None:
    """Raises RecipeError: a statement of ``params/coverage.yaml`` points at nothing."""
    file = shown(file_of(Coverage, "coverage"))
    for team, statements in load(Coverage, "coverage").teams.items():
        for row in statements:
            for where in row.where:
                _point(where, f"{file}: {team}: {row.says}: {where}")


def _point(where: str, told: str) -> None:
    name, _, key = where.partition(": ")
    if name == "claim":
        return require(key, [claim.trick for claim in load(Claims, "claims").others], told)
    if name.startswith("lib/"):
        source = PROJECT / name
        require(name, [str(path.relative_to(PROJECT)) for path in source.parent.glob("*.py")], told)
        return require(key, re.findall(r"^(?:class|def) (\w+)", source.read_text(encoding="utf-8"), re.M), told)
    kind, _, name = name.rpartition("/")
    if kind:
        require(kind, KINDS, told)
    require(name, names(KINDS.get(kind, Recipe)), told)
    _walk(read_yaml(file_of(KINDS.get(kind, Recipe), name)), key, told)


def _walk(tree: Any, path: str, told: str) -> None:
    """Follows a dotted path; keys may hold dots themselves, and a row of a list is named by its id, value, arm or component."""
    if not path:
        return
    if isinstance(tree, list):
        tree = {str(next((row[k] for k in ("id", "value", "arm", "use") if k in row), "")): row for row in tree}
    inner = tree if isinstance(tree, dict) else {}
    key = max((key for key in inner if f"{path}.".startswith(f"{key}.")), key=len, default=path)
    require(key, inner, told)
    _walk(inner[key], path[len(key) + 1 :], told)


def coverage_table() -> Table:
    """Per team, how much of its write-up is found here, what a question asks about, and what is not found, by reason."""
    rows = []
    for team, statements in load(Coverage, "coverage").teams.items():
        missing: dict[str, list[str]] = {}
        for row in statements:
            missing.setdefault(row.not_reproduced, []).append(row.says)
        found = len(missing.pop("", ()))
        asked = sum(any(where.startswith("ablation/") for where in row.where) for row in statements)
        told = "\n".join(f"{'; '.join(said)}: **{reason}**" for reason, said in missing.items())
        rows.append((team, found, asked, len(statements) - found, told))
    table = pd.DataFrame(rows, columns=["team", "found", "asked", "missing", "told"])
    columns = (
        Column("team", "team"),
        number("here", "found", f.count, "statements that a recipe, a question, the ledger or the library holds"),
        number("asked", "asked", f.count, "of these, by a question of params/ablations"),
        number("not here", "missing", f.count),
        Column("not reproduced: why", "told"),
    )
    found, missing = table["found"].sum(), table["missing"].sum()
    caption = f"{found} of {found + missing} statements are found here; `params/coverage.yaml` says where each one is."
    return Table(table, columns, caption, name="coverage")
