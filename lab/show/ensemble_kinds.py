"""Ways of joining the same members, each judged on the same items: as specified, the others beside it, and as it grows."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lab.show.ensemble_members import ALL, UNSEEN, Judged
from lib.evaluation.crossfit import crossfit, pair_folds
from lib.evaluation.paired import difference, interval
from lib.recipes import components
from lib.recipes.errors import RecipeError
from lib.recipes.specs import Component


@dataclass(frozen=True)
class Joined:
    values: np.ndarray  # vectors [N, E] or logits [V, C]; of what is learned from pairs: learned from all of them
    predicted: np.ndarray  # what is judged; of what is learned from pairs: each pair by a fit without its fold
    inside: np.ndarray | None = None  # predictions of what was learned from the judged pairs themselves


Join = Callable[[Sequence[np.ndarray]], Joined]


def joiner(component: Component, judged: Judged, where: str) -> Join:
    """Bind a combiner; one that asks for ``pairs`` and ``scores`` by its signature is cross-fitted.

    Args:
        where: the key in YAML, for errors.

    Raises:
        RecipeError: unknown component or argument, or one that learns from pairs where classes are judged.
    """
    arguments = components.arguments("evaluation", component, where)
    wanted = components.context_names("evaluation", component.use)
    cls = getattr(importlib.import_module(components.module_of("evaluation", component, where)), component.use)
    if not wanted:
        combiner = cls(**arguments)

        def plain(members: Sequence[np.ndarray]) -> Joined:
            values = combiner(members)
            return Joined(values, judged.predicted(values))

        return plain
    if judged.pairs is None or wanted - {"pairs", "scores"}:
        raise RecipeError(f"{where}: {component.use} learns from scored pairs, and these members predict classes")
    pairs = judged.pairs

    def make(given: np.ndarray, scores: np.ndarray):
        context = {"pairs": given, "scores": scores}
        return cls(**arguments, **{name: context[name] for name in wanted})

    def fitted(members: Sequence[np.ndarray]) -> Joined:
        values = make(pairs, judged.truth)(members)
        outside = crossfit(make, members, pairs, judged.truth, pair_folds(pairs).of)
        return Joined(values, outside, judged.predicted(values))

    return fitted


def label(component: Component) -> str:
    """
    >>> label(Component(use="ConcatSvd", dim=64, fit="reference"))
    'ConcatSvd, dim 64, fit reference'
    """
    return ", ".join([component.use, *(f"{name} {_plain(value)}" for name, value in component.arguments.items())])


def _plain(value: Any) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def comparison(judged: Judged, names: list[str], singles: list[np.ndarray], rows: list[dict]) -> pd.DataFrame:
    """Scores, intervals and differences from the best member, for all items and for the unseen ones.

    Args:
        names, singles: the members and what they predict.
        rows: each with ``joined``, a ``Joined`` or None where the members cannot be joined so; its other entries are kept.

    Returns:
        a row for each of ``rows``: ``score, low, high``, ``best`` (member), ``difference, difference_low,
        difference_high, verdict``, and the same with the prefix ``unseen_`` where there is such a part (its score is
        ``unseen``); ``inside`` is the score of what was learned from the judged items.
    """
    found = [{key: value for key, value in row.items() if key != "joined"} for row in rows]
    known = [number for number, row in enumerate(rows) if row["joined"] is not None]
    for part in judged.parts:
        prefix = "" if part == ALL else f"{part}_"
        alone = [judged.score(single, part) for single in singles]
        best = int(np.argmax(alone))
        draws = judged.draws([singles[best], *(rows[number]["joined"].predicted for number in known)], part)
        for number, own in zip(known, draws[1:], strict=True):
            score = judged.score(rows[number]["joined"].predicted, part)
            low, high = interval(own)
            than = difference(score, alone[best], own, draws[0])
            found[number] |= {
                UNSEEN if prefix else "score": score,
                f"{prefix}low": low,
                f"{prefix}high": high,
                f"{prefix}best": names[best],
                f"{prefix}best_score": alone[best],
                f"{prefix}difference": than.mean,
                f"{prefix}difference_low": than.low,
                f"{prefix}difference_high": than.high,
                f"{prefix}verdict": than.verdict,
            }
    for number in known:
        joined = rows[number]["joined"]
        found[number]["inside"] = None if joined.inside is None else judged.score(joined.inside)
        found[number]["width"] = joined.values.shape[1]
    return pd.DataFrame(found)


def kinds(
    judged: Judged,
    names: list[str],
    members: list[np.ndarray],
    first: Joined,
    spec: Component,
    also: dict[str, Component],
) -> pd.DataFrame:
    """The table of kinds: as specified first, then ``also`` (key in YAML -> component), then the best member alone.

    A kind that these members do not allow (widths differ) has no score but a ``note``.
    """
    rows: list[dict] = [{"kind": label(spec), "role": "specified", "note": "", "joined": first}]
    for where, component in also.items():
        join = joiner(component, judged, where)
        try:
            rows.append({"kind": label(component), "role": "also", "note": "", "joined": join(members)})
        except ValueError as error:
            rows.append({"kind": label(component), "role": "also", "note": str(error), "joined": None})
    singles = [judged.predicted(value) for value in members]
    best = int(np.argmax([judged.score(single) for single in singles]))
    alone = Joined(members[best], singles[best])
    rows.append({"kind": names[best], "role": "best member", "note": "", "joined": alone})
    return comparison(judged, names, singles, rows)
