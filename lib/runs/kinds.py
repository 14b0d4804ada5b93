"""Kinds of problem: by which metric each is judged, and whether more of it is better. The one table of both."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Kind:
    """What a run was judged on. ``metric`` is its primary score, ``selects`` are the metrics that may pick its best
    checkpoint, and ``contest`` says whether the metric is one that a contest was decided by; the others only say how
    pretraining went."""

    name: str
    metric: str
    selects: tuple[str, ...]
    contest: bool


KINDS = {
    kind.name: kind
    for kind in (
        Kind("pairs", "spearman", ("spearman", "mse"), contest=True),
        Kind("classes", "mean_f1", ("mean_f1",), contest=True),
        Kind("tags", "tag_loss", ("tag_loss",), contest=False),
        Kind("loss", "loss", ("loss",), contest=False),  # videos without labels: the sum of all objectives
    )
}
HIGHER_IS_BETTER = {"spearman": True, "mean_f1": True, "mse": False, "tag_loss": False, "loss": False}
CONTEST_METRICS = tuple(kind.metric for kind in KINDS.values() if kind.contest)


def scored_on(scores: Mapping[str, Any]) -> str:
    """The part whose score is the run's: the labelled test part where the corpus has one, else validation.

    Checkpoints are selected on validation, so only a score on the test part is free of that choice. ``scores``: part ->
    metric -> value, ``metrics.json["scores"]``.

    >>> scored_on({"validation": {"spearman": 0.6}, "test": {"spearman": 0.5}})
    'test'
    """
    return "test" if "test" in scores else "validation"


def score_of(metrics: Mapping[str, Any], part: str = "") -> float:
    """The score of a run or an ensemble: its primary metric on the part it is scored on. ``metrics``:
    ``metrics.json``."""
    return metrics["scores"][part or scored_on(metrics["scores"])][metrics["primary"]]
