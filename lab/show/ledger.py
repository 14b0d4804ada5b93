"""Claims ledger: every gain that was claimed, one row each, beside what was measured here and on real corpora.

A claim of a question is held against one comparison of it, a claim of an ensemble against the best of its members. What
cannot be held against anything says why. Rows of other reports are read from their ``tables/comparisons.csv``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from lab.show import formats as f
from lab.show import runs as gather
from lab.show.plan import Plan
from lab.show.rows import dicts
from lib.recipes.load import load, names
from lib.recipes.specs import Ablation, Claim, Claims, OtherClaim
from lib.runs import paths

NOT_HERE = "not asked in this report"
EMPTY: dict[str, Any] = {
    "trick": "", "page": "", "metric": "", "claimed": None, "source": "", "recipe": "", "arm": "", "measured": None, "low": None,
    "high": None, "holm": None, "verdict": "", "elsewhere": "", "touched": "", "note": "",
}  # fmt: skip


def ledger(plan: Plan, compared: pd.DataFrame, ensembles: Sequence[dict], reports: Path) -> pd.DataFrame:
    """One row per claim of the contests whose systems the plan holds.

    Args:
        compared: rows of ``certainty.comparisons``.
        ensembles: rows of ``ensembles.summary``.
        reports: folder of all reports; those of the same scale on other corpora fill ``elsewhere``.

    Returns:
        a frame of the columns of ``EMPTY``, in the order of ``params``. ``claimed``, ``measured``, ``low`` and ``high`` are
        differences in units of ``metric`` (a claim in another metric keeps its own); ``holm`` is a p-value, none for ensembles.

    Raises:
        RecipeError: a question names a recipe that does not exist.
    """
    rows = [
        *_of_questions(compared, _elsewhere(reports, plan)),
        *_of_others({row["name"]: row for row in ensembles}),
    ]
    metrics = {gather.contest_metric(recipe) for recipe in plan.systems}
    frame = pd.DataFrame([EMPTY | row for row in rows], columns=list(EMPTY))
    return frame[frame["metric"].isin(metrics)].reset_index(drop=True)


def _elsewhere(reports: Path, plan: Plan) -> dict[str, pd.DataFrame]:
    """Corpus -> comparisons, of the reports of the same scale on a corpus that was given, other than the plan's own."""
    pattern = paths.world(plan.scale, "*")
    files = sorted(reports.glob(f"{pattern}/tables/comparisons.csv"))
    return {
        folder.name.removeprefix(pattern.removesuffix("*")): pd.read_csv(file)
        for file in files
        if (folder := file.parent.parent) != plan.report_folder
    }


def _of_questions(compared: pd.DataFrame, others: dict[str, pd.DataFrame]) -> Iterator[dict[str, Any]]:
    for name in names(Ablation):
        asked = load(Ablation, name)
        for claim in asked.claimed:
            found = _comparison(compared, name, claim)
            elsewhere = {corpus: _comparison(frame, name, claim) for corpus, frame in others.items()}
            told = "; ".join(f"{corpus}: {_short(row)}" for corpus, row in elsewhere.items() if row)
            row = _claimed(claim, asked.question, gather.contest_metric(asked.recipes[0])) | {"elsewhere": told}
            if found is None:
                yield row | _unmeasured(claim, NOT_HERE, f"`make ablation NAME={name}` asks")
                continue
            yield row | {
                "page": f"ablation_{name}.md", "recipe": found["recipe"], "arm": found["arm"], "measured": found["difference"],
                "low": found["low"], "high": found["high"], "holm": found["holm"], "verdict": found["verdict"],
            }  # fmt: skip


def _of_others(ensembles: dict[str, dict]) -> Iterator[dict[str, Any]]:
    for claim in load(Claims, "claims").others:
        row, found = _claimed(claim, claim.trick, claim.metric), ensembles.get(claim.ensemble)
        if found is None:
            verdict = "not tested" if claim.untested else NOT_HERE
            yield row | _unmeasured(claim, verdict, claim.untested or f"`make ensemble NAME={claim.ensemble}` shows it")
            continue
        yield row | {
            "page": f"ensemble_{claim.ensemble}.md", "recipe": found["recipe"], "arm": "against its best member",
            "measured": found["difference"], "low": found["difference_low"], "high": found["difference_high"],
            "verdict": found["verdict"],
        }  # fmt: skip


def _claimed(claim: Claim | OtherClaim, trick: str, metric: str) -> dict[str, Any]:
    """What a row holds before anything is measured; ``metric`` is the track's, whatever the claim was made in."""
    return {
        "trick": trick, "metric": metric, "claimed": claim.value, "source": claim.source, "touched": claim.touched,
        "note": claim.note,
    }  # fmt: skip


def _unmeasured(claim: Claim | OtherClaim, verdict: str, why: str) -> dict[str, Any]:
    return {"verdict": verdict, "note": "; ".join(filter(None, (claim.note, why)))}


def _comparison(frame: pd.DataFrame, name: str, claim: Claim) -> dict[str, Any] | None:
    """The comparison that a claim is held against, if it was made."""
    rows = frame[frame["ablation"] == name]
    rows = rows[rows["recipe"] == claim.recipe] if claim.recipe else rows
    rows = rows[rows["arm"] == claim.arm] if claim.arm else rows
    return dict(dicts(rows)[0]) if len(rows) else None


def _short(row: dict[str, Any]) -> str:
    return f"{f.difference(row['difference'])}, {row['verdict']}"
