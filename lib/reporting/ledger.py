"""Claims ledger: every gain that was claimed, one row each, beside what was measured here and on real corpora.

A claim of a question is held against one comparison of it, a claim of an ensemble against the best of its members. What
cannot be held against anything says why. Rows of other reports are read from their ``tables/comparisons.csv``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from lib.recipes.load import load, names
from lib.recipes.plan import Plan
from lib.recipes.specs import Ablation, Claim, Claims
from lib.reporting import formats as f
from lib.reporting.rows import dicts

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
    """
    others = {path.name: pd.read_csv(path / "tables" / "comparisons.csv") for path in _siblings(reports, plan)}
    rows = [*_of_questions(plan, compared, others), *_of_others(plan, {row["name"]: row for row in ensembles})]
    metrics = {"spearman" if "aiac" in recipe else "mean_f1" for recipe in plan.systems}
    frame = pd.DataFrame([EMPTY | row for row in rows], columns=list(EMPTY))
    return frame[frame["metric"].isin(metrics)].reset_index(drop=True)


def _siblings(reports: Path, plan: Plan) -> list[Path]:
    """Reports of the same scale on a corpus that was given, other than the plan's own."""
    found = sorted(path.parent.parent for path in reports.glob(f"{plan.scale}-*/tables/comparisons.csv"))
    return [path for path in found if path != plan.report_folder]


def _of_questions(plan: Plan, compared: pd.DataFrame, others: dict[str, pd.DataFrame]) -> Iterator[dict[str, Any]]:
    for name in names(Ablation):
        asked = load(Ablation, name)
        for claim in asked.claimed:
            contest = "spearman" if "aiac" in asked.recipes[0] else "mean_f1"
            row = {"trick": asked.question, "metric": contest, "claimed": claim.value, "source": claim.source}
            row |= {"touched": claim.touched, "note": claim.note}
            found = _comparison(compared, name, claim)
            elsewhere = {corpus: _comparison(frame, name, claim) for corpus, frame in others.items()}
            row["elsewhere"] = "; ".join(f"{_corpus(plan, n)}: {_short(r)}" for n, r in elsewhere.items() if r)
            if found is None:
                asking = f"`make ablation NAME={name}` asks"
                yield row | {"verdict": NOT_HERE, "note": "; ".join(filter(None, (claim.note, asking)))}
                continue
            yield row | {
                "page": f"ablation_{name}.md", "recipe": found["recipe"], "arm": found["arm"], "measured": found["difference"],
                "low": found["low"], "high": found["high"], "holm": found["holm"], "verdict": found["verdict"],
            }  # fmt: skip


def _of_others(plan: Plan, ensembles: dict[str, dict]) -> Iterator[dict[str, Any]]:
    for claim in load(Claims, "claims").others:
        row = {"trick": claim.trick, "metric": claim.metric, "claimed": claim.value, "source": claim.source}
        row |= {"touched": claim.touched, "note": claim.note}
        found = ensembles.get(claim.ensemble)
        if found is None:
            note = claim.untested or f"`make ensemble NAME={claim.ensemble}` shows it"
            verdict = "not tested" if claim.untested else NOT_HERE
            yield row | {"verdict": verdict, "note": "; ".join(filter(None, (claim.note, note)))}
            continue
        yield row | {
            "page": f"ensemble_{claim.ensemble}.md", "recipe": found["recipe"], "arm": "ensemble against its best member",
            "measured": found["difference"], "low": found["difference_low"], "high": found["difference_high"],
            "verdict": found["verdict"],
        }  # fmt: skip


def _comparison(frame: pd.DataFrame, name: str, claim: Claim) -> dict[str, Any] | None:
    """The comparison that a claim is held against, if it was made."""
    rows = frame[frame["ablation"] == name]
    rows = rows[rows["recipe"] == claim.recipe] if claim.recipe else rows
    rows = rows[rows["arm"] == claim.arm] if claim.arm else rows
    return dict(dicts(rows)[0]) if len(rows) else None


def _corpus(plan: Plan, report: str) -> str:
    return report.removeprefix(f"{plan.scale}-")


def _short(row: dict[str, Any]) -> str:
    return f"{f.difference(row['difference'])}, {row['verdict']}"
