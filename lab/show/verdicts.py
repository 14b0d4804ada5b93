"""Rows of the table of comparisons: their columns, what is judged together, and what they say of the noise of the next ones.

Made by ``lab.show.comparisons``. Nothing here reads a run, so a forecast needs no more than this.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lab.show.plan import COMPARISONS, Plan
from lab.show.specs import NoiseTable
from lib.evaluation.compare import NAN, TOO_SMALL, Noise, detectable, fitted, holm
from lib.recipes.code_digest import digest
from lib.recipes.load import load
from lib.runs.files import write_text

ONE_ANSWER = f"{TOO_SMALL}: one answer for every item"  # of networks that have learnt nothing
LEVEL = 0.05  # of the verdicts' 95 % intervals
COLUMNS = (
    "ablation", "question", "family", "check",  # file and text of the question; "placebo" where its answer is known
    "recipe", "arm", "reference", "metric", "seed", "n",  # n: seeds behind the row
    "score", "sd", "unseen",  # sd: over seeds; unseen: score on pairs of videos that are in no training pair
    "claimed", "detectable", "difference", "low", "high", "p", "holm", "verdict", "claimed_source",
    "sd_seeds", "sd_items",  # of the difference: over seeds, of one seed as measured; over test items, of what seeds share
    "seconds", "digest",  # training of this stage; of the run
)  # fmt: skip
MEASURED = ("difference", "low", "high", "p", "detectable", "verdict", "sd_seeds", "sd_items")
MISSING = dict.fromkeys(("sd", "unseen", "claimed", "holm", *(m for m in MEASURED if m != "verdict")), NAN)


def folder(plan: Plan, name: str) -> Path:
    """Where ``05_ablation`` leaves the part of one question."""
    return plan.runs_folder / "ablations" / name


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
    return write_text(folder / COMPARISONS, part.to_csv(index=False, lineterminator="\n"))


def noise(plan: Plan, metric: str) -> Noise:
    """What earlier comparisons on the scale's own corpora came to; nothing is known of other corpora."""
    known = {} if plan.corpus else load(NoiseTable, "noise").scales.get(plan.scale, {})
    return Noise(**known.get(metric, {}))


def together(frame: pd.DataFrame) -> pd.DataFrame:
    """The same rows with ``holm``: p adjusted over the comparisons of one metric and one kind of question (claims, quirks or leaks;
    Holm 1979, Scandinavian Journal of Statistics 6:65).

    What never came into play, and questions with a known answer, are no comparisons. Those of the same scores of one system are
    one, and share the result.
    """
    frame = frame.assign(holm=NAN)
    rows = frame[frame["p"].notna() & (frame["check"] == "")]
    same = [_scores_of_both(frame, row) for row in rows.to_dict("records")]
    kinds = rows["family"].map(holm_family)
    for _, group in rows.assign(same=same).groupby(["metric", kinds]):
        once = group.drop_duplicates("same")
        adjusted = dict(zip(once["same"], holm(once["p"].tolist()), strict=True))
        frame.loc[group.index, "holm"] = group["same"].map(adjusted)
    return frame


def holm_family(family: str) -> str:
    """What is judged together: what authors claim, what their code does otherwise, what a split lets through.

    >>> holm_family("quirks"), holm_family("splits"), holm_family("focal loss")
    ('quirks', 'leaks', 'claims')
    """
    return {"quirks": "quirks", "splits": "leaks"}.get(family, "claims")


def _scores_of_both(frame: pd.DataFrame, row: dict[str, Any]) -> str:
    part = frame[frame["ablation"] == row["ablation"]]
    return repr(
        (row["recipe"], sorted(scores(part, row["recipe"], arm).tolist() for arm in (row["arm"], row["reference"])))
    )


def measured_noise(frame: pd.DataFrame) -> dict[str, Noise]:
    """Metric -> what its comparisons say of the next one; placebos among them, comparisons of the same scores once."""
    rows = compared(frame)[lambda rows: rows["sd_seeds"] > 0]
    rows = rows.assign(same=[_scores_of_both(frame, row) for row in rows.to_dict("records")]).drop_duplicates("same")
    return {
        str(metric): fitted(part["sd_seeds"], part["n"].astype(float) - 1, part["sd_items"])
        for metric, part in rows.groupby("metric", sort=False)
    }


def visible(plan: Plan, name: str, n: int, known: pd.DataFrame) -> dict[str, float]:
    """Recipe -> smallest effect that n seeds would show of a question four times out of five, in units of the metric; NaN where
    that is not known.

    Args:
        known: rows of earlier comparisons: the loudest arm of the question counts, or ``params/noise.yaml`` where it has none.
    """
    from lab.show.runs import contest_metric  # loads matplotlib, which a driver must not before it has a home

    part, found = compared(known)[lambda rows: (rows["ablation"] == name) & (rows["sd_seeds"] > 0)], {}
    for recipe in plan.recipes_of(name):
        prior = noise(plan, contest_metric(recipe))
        rows = part[part["recipe"] == recipe].to_dict("records")
        sds = [(*prior.moderated(row["sd_seeds"], row["n"] - 1), row["sd_items"]) for row in rows]
        sds = sds or [(prior.sd_seeds, prior.df, prior.sd_items)]
        found[recipe] = max(detectable(sd, n, items, df=df if prior.df else n - 1) for sd, df, items in sds)
    return found


if __name__ == "__main__":
    for metric, one in measured_noise(together(read(Path(sys.argv[1])))).items():
        values = ", ".join(f"{name}: {float(f'{value:.3g}')}" for name, value in one._asdict().items())
        print(f"{metric}: {{{values}}}")
