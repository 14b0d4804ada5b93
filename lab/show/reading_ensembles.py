"""What may be said of an ensemble, by rule: does it beat its best member, on all items and on videos new to all members?"""

from __future__ import annotations

from lab.show import formats as f
from lab.show.ensembles import Result
from lab.show.rows import Row, dicts
from lib.evaluation.crossfit import COMPONENTS, FIRST_VIDEOS
from lib.stages.ensemble import FEWEST

FOLDS = {
    COMPONENTS: f"folds of {COMPONENTS}: nor any pair of its videos",
    FIRST_VIDEOS: f"folds of {FIRST_VIDEOS}, because one component of videos holds too many of the pairs: nor any pair of its "
    "first video as first",
}


def sentences(result: Result) -> list[str]:
    """On all items, then on pairs of unseen videos, then how what is learned from pairs was judged."""
    metrics, kind = result.metrics, dicts(result.kinds)[0]
    items, what = metrics["items"], "pairs" if metrics["primary"] == "spearman" else "videos"
    told = [_sentence(f"On all {f.count(items['validation'])} validation {what}", kind, "", metrics["primary"])]
    if what == "pairs":
        told.append(_unseen(items, kind, metrics["primary"]))
    if "folds_of" in metrics:
        told.append(
            "What is learned from scored pairs is learned in folds here, and every pair is judged by a fit that did not see "
            f"it ({FOLDS[metrics['folds_of']]}); the members themselves are those of the runs."
        )
    return told


def _unseen(items: dict[str, int], kind: Row, metric: str) -> str:
    if items["unseen"] == items["validation"]:
        return (
            "No member was trained on a pair with one of these videos, so this score is free of that leak as it stands."
        )
    if items["unseen"] < FEWEST:
        return (
            f"Only {f.plural(items['unseen'], 'pair')} of {f.count(items['validation'])} have no video that occurs in a "
            "training pair: too few to say whether the gain holds on new videos."
        )
    where = f"On the {f.count(items['unseen'])} pairs whose videos are in no training pair of any member"
    return _sentence(where, kind, "unseen_", metric)


def _sentence(where: str, kind: Row, prefix: str, metric: str) -> str:
    score, best = kind["unseen" if prefix else "score"], kind[f"{prefix}best"]
    between = f.interval(kind[f"{prefix}difference_low"], kind[f"{prefix}difference_high"], 4, signed=True)
    return (
        f"{where}: **{kind[f'{prefix}verdict']}**. The ensemble reaches {f.score(score, 4)} {f.metric(metric)}, its best "
        f"member there, `{best}`, {f.score(kind[f'{prefix}best_score'], 4)}: "
        f"{f.difference(kind[f'{prefix}difference'])} (95 % interval over items {between})."
    )
