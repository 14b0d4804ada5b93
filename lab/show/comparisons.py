"""The one table of comparisons: every arm of every question, run by run and in the mean.

A row with a ``seed`` is a run: its score, and its difference to the run of the reference arm at the same place (that of the
same seed, unless the question gives its arms other seeds). The row of the arm without a seed says what its seeds say
together: means, 95 % t-interval and p-value of the paired difference, the smallest effect these seeds would have shown, what
was claimed, and the verdict. Rows of a reference arm have no ``reference`` and no difference. Scores and differences are in
units of ``metric``. Everything that the report says of tricks is read from this table.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from lab.show import runs
from lab.show.plan import Plan
from lib.evaluation.compare import compare, detectable, holm
from lib.recipes.code_digest import digest
from lib.recipes.specs import Ablation
from lib.runs.files import write_text
from lib.runs.kinds import HIGHER_IS_BETTER

FILE = "comparisons.csv"
LEVEL = 0.05  # of the verdicts' 95 % intervals
COLUMNS = (
    "ablation", "question", "family", "check",  # file and text of the question; "placebo" or "planted" where its answer is known
    "recipe", "arm", "reference", "metric", "seed", "n",  # n: seeds behind the row
    "score", "sd", "unseen",  # sd: over seeds; unseen: score on pairs of videos that are in no training pair
    "difference", "low", "high", "p", "holm", "detectable",
    "claimed", "claimed_source", "verdict", "seconds", "digest",  # seconds: training of this stage; digest: of the run
)  # fmt: skip
MISSING = dict.fromkeys(
    ("sd", "unseen", "difference", "low", "high", "p", "holm", "detectable", "claimed"), float("nan")
)


def folder(plan: Plan, name: str) -> Path:
    """Where ``05_ablation`` leaves the part of one question."""
    return plan.runs_folder / "ablations" / name


def of_question(plan: Plan, name: str) -> pd.DataFrame:
    """The part of one question: ``COLUMNS``, for every system first the reference arm. ``holm`` is known of a whole report only.

    Raises:
        KeyError: the plan has no such question (unknown, or about none of its systems).
        MissingRun: a run is absent or stale; names it and its ``make`` line.
    """
    spec, jobs = plan.question(name), plan.ablation_jobs(name)
    found = {key: runs.rows(group, spec.scored_on) for key, group in jobs.items()}
    rows: list[dict[str, Any]] = []
    for recipe in dict.fromkeys(recipe for recipe, _ in jobs):
        for arm in sorted(spec.arms, key=lambda arm: arm != spec.reference):
            about = {"ablation": name, "question": spec.question, "family": spec.family, "check": spec.check}
            about |= {
                "recipe": recipe,
                "arm": arm,
                "reference": "" if arm == spec.reference else spec.compared_with(arm),
            }
            rows += _arm(MISSING | about, found[recipe, arm], found[recipe, spec.compared_with(arm)], spec)
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"seed": "Int64"})


def _arm(about: dict[str, Any], own: pd.DataFrame, other: pd.DataFrame, spec: Ablation) -> list[dict[str, Any]]:
    """The row of an arm, then those of its runs."""
    metric, compares, unseen = own["metric"].iloc[0], bool(about["reference"]), pd.to_numeric(own["unseen"])
    about = about | {"metric": metric, "claimed_source": "", "verdict": "", "digest": ""}
    together = about | {
        "n": len(own),
        "score": own["score"].mean(),
        "sd": own["score"].std(ddof=1) if len(own) > 1 else float("nan"),
        "unseen": unseen.mean(),
        "seconds": own["seconds"].mean(),
    }
    if compares:
        together |= paired(own["score"].to_numpy(float), other["score"].to_numpy(float), metric)
        claims = [c for c in spec.claimed if c.metric == metric and c.is_about(about["recipe"], about["arm"])]
        together |= {"claimed": claims[0].value, "claimed_source": claims[0].source} if claims else {}
    each = own[["seed", "score", "seconds", "digest"]].assign(n=1, unseen=unseen)
    if compares:
        each["difference"] = own["score"].to_numpy(float) - other["score"].to_numpy(float)
    return [together, *(about | {str(key): value for key, value in row.items()} for row in each.to_dict("records"))]


def paired(arm: np.ndarray, reference: np.ndarray, metric: str) -> dict[str, Any]:
    """Arm minus reference, run by run.

    Args:
        arm, reference: float [n], scores of runs; those at one place are a pair.

    Returns:
        ``difference`` with ``low``, ``high`` and ``verdict`` (``lib.evaluation.compare``), its ``p`` (:func:`p_value`), and
        ``detectable``: NaN where the runs say nothing of it, with one seed or the same difference with every seed.
    """
    found = compare(arm, reference, HIGHER_IS_BETTER[metric])
    sd = float(np.std(arm - reference, ddof=1)) if len(arm) > 1 else float("nan")
    return {
        "difference": found.mean,
        "low": found.low,
        "high": found.high,
        "p": p_value(arm, reference),
        "detectable": detectable(sd, len(arm)) if sd else float("nan"),
        "verdict": found.verdict,
    }


def p_value(arm: np.ndarray, reference: np.ndarray) -> float:
    """Two-sided, of the paired t-test (``scipy.stats.ttest_rel``).

    Returns:
        NaN with one seed; where all differences are the same, which the test does not know, 1 if they are zero and 0 if not.

    Raises:
        ValueError: different numbers of seeds.
    """
    if len(arm) == len(reference) < 2:
        return float("nan")
    difference = np.subtract(arm, reference)
    if np.ptp(difference) == 0:
        return float(difference[0] == 0)
    return float(stats.ttest_rel(arm, reference).pvalue)


def of_plan(plan: Plan) -> pd.DataFrame:
    """All questions of a report, one below the other.

    ``holm`` is the p-value adjusted over all comparisons in the same metric (Holm 1979, Scandinavian Journal of Statistics
    6:65); questions with a known answer are left out of that.

    Raises:
        MissingRun: a run is absent or stale; names it and its ``make`` line.
    """
    parts = [of_question(plan, name) for name in plan.ablations]
    return together(pd.concat(parts, ignore_index=True)) if parts else pd.DataFrame(columns=list(COLUMNS))


def together(frame: pd.DataFrame) -> pd.DataFrame:
    """The same rows with ``holm`` over all of them."""
    frame = frame.assign(holm=float("nan"))
    for _, group in frame[frame["p"].notna() & (frame["check"] == "")].groupby("metric"):
        frame.loc[group.index, "holm"] = holm(group["p"].tolist())
    return frame


def arms(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows of arms, reference arms among them: what their seeds say together."""
    return frame[frame["seed"].isna()].reset_index(drop=True)


def compared(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows of the arms that are compared with a reference."""
    return arms(frame)[lambda rows: rows["reference"] != ""].reset_index(drop=True)


def scores(frame: pd.DataFrame, recipe: str, arm: str) -> np.ndarray:
    """float [n]: scores of the runs of one arm of one question; what stands at the same place of two arms is a pair."""
    chosen = (frame["recipe"] == recipe) & (frame["arm"] == arm) & frame["seed"].notna()
    return frame.loc[chosen, "score"].to_numpy(float)


def digest_of(part: pd.DataFrame) -> str:
    """Of the numbers of one question: what is said of them in its file names it."""
    numbers = arms(part)[["recipe", "arm", "score", "difference", "low", "high", "verdict"]].round(6)
    return digest(numbers.astype(str).to_dict("records"))


def read(file: Path) -> pd.DataFrame:
    """A table that was written; what it lacks is missing, and text that is missing is empty."""
    about = ("ablation", "question", "family", "check", "recipe", "arm", "reference")
    text = (*about, "metric", "claimed_source", "verdict", "digest")
    frame = pd.read_csv(file).reindex(columns=list(COLUMNS)).astype({"seed": "Int64"})
    return frame.astype(dict.fromkeys(text, object)).fillna(dict.fromkeys(text, ""))


def write(part: pd.DataFrame, folder: Path) -> Path:
    """``comparisons.csv`` of one question."""
    return write_text(folder / FILE, part.to_csv(index=False, lineterminator="\n"))
