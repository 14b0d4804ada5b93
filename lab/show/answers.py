"""One question, answered: its arms compared seed by seed with the reference arm, and what may be said of it by rule."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lab.show import runs as gather
from lab.show.plan import Plan
from lib.evaluation.compare import compare, detectable
from lib.recipes.digests import digest
from lib.recipes.job import Job
from lib.recipes.specs import Ablation
from lib.runs.files import write_json, write_text
from lib.runs.kinds import HIGHER_IS_BETTER


@dataclass(frozen=True)
class Answer:
    """``frame`` has one row per recipe and arm, the reference arm first; ``jobs`` are the runs behind it."""

    name: str
    spec: Ablation
    frame: pd.DataFrame
    jobs: dict[tuple[str, str], list[Job]]
    runs: pd.DataFrame

    @property
    def comparisons(self) -> pd.DataFrame:
        """Rows of the arms that are compared with the reference."""
        return self.frame.loc[~self.frame["is_reference"]].reset_index(drop=True)

    @property
    def recipes(self) -> list[str]:
        return list(dict.fromkeys(self.frame["recipe"]))

    @property
    def digest(self) -> str:
        """Of the numbers: a discussion written for them names it."""
        numbers = self.frame[["recipe", "arm", "score", "difference", "low", "high", "verdict"]].round(6)
        return digest(numbers.astype(str).to_dict("records"))

    @property
    def discussion_is_old(self) -> bool:
        return bool(self.spec.discussion) and self.spec.discussion_digest != self.digest

    def curves(self, recipe: str) -> dict[str, list[pd.DataFrame]]:
        """Validation scores over steps: arm -> one frame a seed."""
        return {
            arm: [job.folder.history.frame("scores") for job in jobs]
            for (of, arm), jobs in self.jobs.items()
            if of == recipe
        }

    def to_dict(self) -> dict[str, Any]:
        """What ``comparison.json`` holds."""
        rows = [
            {key: None if pd.isna(value) else value for key, value in row.items()}
            for row in self.frame.to_dict("records")
        ]
        runs = [
            {"recipe": r["recipe"], "arm": r["arm"], "seed": r["seed"], "score": r["score"], "digest": r["digest"]}
            for r in self.runs.to_dict("records")
        ]
        return {
            "schema": 1,
            "ablation": self.name,
            "question": self.spec.question,
            "reference": self.spec.reference,
            "digest": self.digest,
            "rows": rows,
            "runs": runs,
        }

    def write(self, folder: Path) -> Path:
        """``table.csv`` and ``comparison.json``, the latter last."""
        write_text(folder / "table.csv", self.frame.to_csv(index=False, lineterminator="\n"))
        return write_json(folder / "comparison.json", self.to_dict())


def folder(plan: Plan, name: str) -> Path:
    """Where ``05_ablation`` leaves its answer."""
    return plan.runs_folder / "ablations" / name


def answer(plan: Plan, name: str) -> Answer:
    """Compare the arms of an ablation.

    Raises:
        KeyError: the plan has no such ablation (unknown, or none of its recipes is among the systems).
        MissingRun: a run is absent or stale; names it and its ``make`` line.
    """
    spec, jobs = plan.question(name), plan.ablation_jobs(name)
    frames = {key: gather.rows(group).assign(arm=key[1], pair=range(len(group))) for key, group in jobs.items()}
    rows = []
    for recipe in dict.fromkeys(key[0] for key in jobs):
        for arm in [spec.reference, *(arm for arm in spec.arms if arm != spec.reference)]:
            rows.append(_row(spec, recipe, arm, frames[recipe, arm], frames[recipe, spec.compared_with(arm)]))
    return Answer(name, spec, pd.DataFrame(rows), jobs, pd.concat(frames.values(), ignore_index=True))


def _row(spec: Ablation, recipe: str, arm: str, runs: pd.DataFrame, reference: pd.DataFrame) -> dict[str, Any]:
    metric = runs["metric"].iloc[0]
    row = {
        "recipe": recipe,
        "arm": arm,
        "is_reference": arm == spec.reference,
        "metric": metric,
        "n": len(runs),
        "score": runs["score"].mean(),
        "sd": runs["score"].std(ddof=1) if len(runs) > 1 else float("nan"),
        "unseen": pd.to_numeric(runs["unseen"]).mean(),
        "difference": float("nan"),
        "low": float("nan"),
        "high": float("nan"),
        "verdict": "",
        "detectable": float("nan"),
        "claimed": float("nan"),
        "claimed_source": "",
        "scores": " ".join(map(str, runs["score"])),
        "seconds": runs["seconds"].mean(),
    }
    if arm != spec.reference:
        claims = [claim for claim in spec.claimed if claim.metric == metric and claim.is_about(recipe, arm)]
        row |= paired(runs, reference, metric)
        row |= {"claimed": claims[0].value, "claimed_source": claims[0].source} if claims else {}
    return row


def paired(runs: pd.DataFrame, reference: pd.DataFrame, metric: str) -> dict[str, Any]:
    """Arm minus reference, seed by seed; ``detectable`` is what these seeds would have found four times out of five, NaN
    where they say nothing of it: one seed, or the same difference with every seed."""
    both = runs.merge(reference, on="pair", suffixes=("", "_reference"), validate="one_to_one")
    arm, base = both["score"].to_numpy(), both["score_reference"].to_numpy()
    found = compare(arm, base, HIGHER_IS_BETTER[metric])
    sd = float(np.std(arm - base, ddof=1)) if len(both) > 1 else float("nan")
    return {
        "difference": found.mean,
        "low": found.low,
        "high": found.high,
        "verdict": found.verdict,
        "detectable": detectable(sd, len(both)) if sd else float("nan"),
    }
