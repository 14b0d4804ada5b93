"""The one table of comparisons: every arm of every question, run by run and in the mean.

A row with a ``seed`` is a run: its score, and its difference to the run of the reference arm with the same seed. The row of
the arm without a seed says what its seeds say together: means, 95 % interval over seeds and test items and p-value of the paired
difference, the smallest effect that would have been seen, what was claimed, and the verdict. Rows of a reference arm have no
``reference`` and no difference. Scores and differences are in units of ``metric``. Everything that the report says of tricks
is read from this table.

Variances over seeds are shrunk towards ``params/noise.yaml``, what earlier comparisons of the same scale came to (``verdicts.noise``),
so that what a question's page says does not change with the questions beside it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from lab.show import predictions, runs
from lab.show.plan import COMPARISONS, Plan
from lab.show.verdicts import COLUMNS, MEASURED, MISSING, ONE_ANSWER, folder, noise, read, together
from lib.data.schema import CategoryTree
from lib.data.store import Store
from lib.evaluation.compare import NAN, NOT_IN_PLAY, Noise, compare, verdict_of
from lib.evaluation.influence import mean_f1_influence, shared_variance, spearman_influence
from lib.recipes.job import Job
from lib.runs.kinds import HIGHER_IS_BETTER

T = TypeVar("T")


@dataclass(frozen=True)
class Predicted:
    """A run's score, and what it says of the items that the score is of."""

    score: float
    items: np.ndarray  # int64 [P, 2] store rows of pairs, or [V] of videos
    influence: np.ndarray  # float64, one an item
    digest: str  # of all numbers predicted
    corpus: str  # digest
    one_answer: bool = False  # whether the same is said of every item


def predicted(job: Job, part: str = "") -> Predicted:
    """Read from the run's folder. Args: part: what is read, if not the part that the run is scored on.

    Raises:
        MissingRun: the run is absent, stale, or left no predictions.
    """
    score = float(runs.rows([job], part)["score"].iloc[0])
    if job.kind.name == "pairs":
        pairs = predictions.of_pairs(job.folder, part)
        items, values, said = pairs.pairs, pairs.cosine, pairs.cosine
        influence = spearman_influence(pairs.cosine, pairs.score)
    else:
        videos = predictions.of_classes(job.folder, part)
        items, values, said = videos.rows, videos.logits, videos.predicted
        influence = mean_f1_influence(videos.predicted, videos.truth, level1_of(job))
    numbers = hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()
    return Predicted(score, items, influence, numbers, job.corpus.digest, bool((said == said[0]).all()))


def once(read: Callable[[Job], T]) -> Callable[[Job], T]:
    """The same function, which reads no run a second time."""
    known: dict[Path, T] = {}

    def of(job: Job) -> T:
        path = job.folder.path
        return known[path] if path in known else known.setdefault(path, read(job))

    return of


def level1_of(job: Job) -> np.ndarray:
    """int64 [C]: upper class of each class of a job's corpus."""
    names = Store.open(job.corpus.store).manifest["categories"]
    return CategoryTree([str(name) for name in names]).level1_of_level2


def of_question(plan: Plan, name: str) -> pd.DataFrame:
    """The part of one question: ``COLUMNS``, for every system first the reference arm. ``holm`` is known of a whole report only.

    Raises:
        KeyError: the plan has no such question (unknown, or about none of its systems).
        MissingRun: a run is absent or stale; names it and its ``make`` line.
        ValueError: two arms are scored on different items.
    """
    spec, jobs = plan.question(name), plan.ablation_jobs(name)
    found = {key: runs.rows(group, spec.scored_on) for key, group in jobs.items()}
    read = once(lambda job: predicted(job, spec.scored_on))
    rows: list[dict[str, Any]] = []
    for recipe in dict.fromkeys(recipe for recipe, _ in jobs):
        for arm in sorted(spec.arms, key=lambda arm: arm != spec.reference):
            other = "" if arm == spec.reference else spec.compared_with(arm)
            own, told, metric = found[recipe, arm], {}, found[recipe, arm]["metric"].iloc[0]
            about = {"ablation": name, "question": spec.question, "family": spec.family, "check": spec.check}
            about |= {"recipe": recipe, "arm": arm, "reference": other, "metric": metric}
            if other:
                claims = [(claim.value, claim.source) for claim in spec.claims_about(recipe, arm, metric)]
                claimed, source = claims[0] if claims else (NAN, "")
                both = ([read(job) for job in jobs[recipe, which]] for which in (arm, other))
                told = judged(*both, metric, noise(plan, metric), claimed)
                told |= {"claimed": claimed, "claimed_source": source}
            rows += _arm(MISSING | about, own, found.get((recipe, other)), told)
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"seed": "Int64"})


def judged(
    arm: list[Predicted], reference: list[Predicted], metric: str, noise: Noise, claimed: float = NAN
) -> dict[str, Any]:
    """``MEASURED`` of two arms, paired run by run; those at one place of the two lists are a pair.

    Where every run of both says the same of all items, nothing varies, which is no certainty: there is no interval then.

    Where each seed has a corpus of its own, the variance over seeds is that over test items, too.

    Raises:
        ValueError: a pair is scored on different items.
    """
    both = list(zip(arm, reference, strict=True))
    if not all(np.array_equal(one.items, two.items) for one, two in both):
        raise ValueError("two arms that are compared are scored on different items: give them one test part")
    sd_items = 0.0
    if len({one.corpus for one in arm}) == 1:
        influences = np.stack([one.influence - two.influence for one, two in both])
        sd_items = float(np.sqrt(shared_variance(influences, arm[0].items if arm[0].items.ndim == 2 else None)))
    found = compare(
        np.array([one.score - two.score for one, two in both]), sd_items, noise=noise, claimed=claimed,
        higher_is_better=HIGHER_IS_BETTER[metric], identical=all(one.digest == two.digest for one, two in both),
    )  # fmt: skip
    told = {name: value for name, value in ({"difference": found.mean} | found._asdict()).items() if name in MEASURED}
    if found.verdict != NOT_IN_PLAY and all(one.one_answer for one in (*arm, *reference)):
        told |= dict.fromkeys(told.keys() - {"difference"}, NAN) | {"verdict": ONE_ANSWER}
    return told


def _arm(
    about: dict[str, Any], own: pd.DataFrame, other: pd.DataFrame | None, told: dict[str, Any]
) -> list[dict[str, Any]]:
    """The row of an arm, then those of its runs."""
    about = about | {"claimed_source": "", "verdict": "", "digest": ""}
    unseen = pd.to_numeric(own["unseen"])
    means = {"score": own["score"].mean(), "unseen": unseen.mean(), "seconds": own["seconds"].mean()}
    together = about | means | {"n": len(own), "sd": own["score"].std(ddof=1) if len(own) > 1 else NAN}
    each = own[["seed", "score", "seconds", "digest"]].assign(n=1, unseen=unseen)
    if other is not None:
        each["difference"] = own["score"].to_numpy(float) - other["score"].to_numpy(float)
    return [
        together | told,
        *(about | {str(key): value for key, value in row.items()} for row in each.to_dict("records")),
    ]


def between(plan: Plan, frame: pd.DataFrame, question: str, recipe: str, arm: str, other: str) -> dict[str, Any]:
    """Arm minus other arm of a question on one system, whichever of them is the reference there.

    Args:
        frame: of :func:`of_plan`. Runs are only read where it compares neither arm with the other.

    Returns:
        ``metric``, ``seeds``, ``difference``, ``low``, ``high``, and ``verdict``: nothing is claimed of the difference.
    """
    part = frame[(frame["ablation"] == question) & (frame["recipe"] == recipe) & frame["seed"].isna()]
    metric, jobs = part["metric"].iloc[0], plan.ablation_jobs(question)
    rows = {(row["arm"], row["reference"]): dict(row) for row in part.to_dict("records")}
    if found := rows.get((other, arm)):
        found |= {"difference": -found["difference"], "low": -found["high"], "high": -found["low"]}
    elif not (found := rows.get((arm, other))):
        scored_on = plan.question(question).scored_on
        both = ([predicted(job, scored_on) for job in jobs[recipe, which]] for which in (arm, other))
        found = judged(*both, metric, noise(plan, metric))
    if found["verdict"] not in (NOT_IN_PLAY, ONE_ANSWER):
        found["verdict"] = verdict_of(found["low"], found["high"], higher_is_better=HIGHER_IS_BETTER[metric])
    told = {name: found[name] for name in ("difference", "low", "high", "verdict")}
    return {"metric": metric, "seeds": len(jobs[recipe, arm]), **told}


def of_plan(plan: Plan) -> pd.DataFrame:
    """All questions of a report, one below the other; a part that ``05_ablation`` left of the same runs is taken as it is.

    Raises:
        MissingRun: a run is absent or stale; names it and its ``make`` line.
    """
    parts = [_part(plan, name) for name in plan.ablations]
    return together(pd.concat(parts, ignore_index=True)) if parts else pd.DataFrame(columns=list(COLUMNS))


def _part(plan: Plan, name: str) -> pd.DataFrame:
    file = folder(plan, name) / COMPARISONS
    if file.exists():
        part, jobs = read(file), plan.ablation_jobs(name)
        if set(part["digest"]) - {""} == {job.digest for group in jobs.values() for job in group}:
            return part
    return of_question(plan, name)
