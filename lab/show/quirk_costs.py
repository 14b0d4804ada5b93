"""What a quirk of the original costs: two arms of a question between which exactly the quirk's switch lies."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from itertools import permutations
from typing import Any

from lab.show.answers import Answer, paired
from lab.show.formats import value
from lib.recipes.errors import RecipeError
from lib.recipes.job import Job
from lib.recipes.load import load
from lib.recipes.resolve import arm_changes, resolve
from lib.recipes.specs import Quirk, Recipe


@dataclass(frozen=True)
class Cost:
    """Score with the quirk minus score without it, paired over seeds, and the question that measured it."""

    question: str  # name of the ablation
    arms: tuple[str, str]  # with the quirk, without it
    metric: str
    seeds: int
    difference: float
    low: float
    high: float
    verdict: str


def cost(answers: Iterable[Answer], recipe: str, switch: dict[str, Any]) -> Cost | None:
    """The first answer that holds an arm with the quirk beside one that is the same without it; None if nobody asked.

    What counts is everything a run depends on, not how an arm was written: stages that it does not come from may differ.
    An arm that is compared with another reference in its own question is paired anew with the one that fits.
    """
    for answer in answers:
        arms = {arm: jobs for (of, arm), jobs in answer.jobs.items() if of == recipe} if switch else {}
        arms = dict(sorted(arms.items(), key=lambda item: item[0] != answer.spec.reference))  # itself first
        for without, quirky in permutations(arms, 2):
            if _lies_between(arms[without][0], arms[quirky][0], switch):
                return between(answer, recipe, quirky, without)
    return None


def all_at_once(spec: Recipe) -> Quirk | None:
    """Every switch together, where the recipe has them as its variant ``faithful``."""
    switch = spec.variants.get("faithful")
    return Quirk(id="all", says="all of them at once (variant faithful)", switch=switch) if switch else None


def _lies_between(without: Job, quirky: Job, switch: dict[str, Any]) -> bool:
    if without.stage != quirky.stage or without.seed != quirky.seed:
        return False
    wanted = _relevant(quirky.spec, quirky.stage)
    if wanted == _relevant(without.spec, without.stage):  # the switch changes nothing that this stage comes from
        return False
    return wanted == _switched(without.recipe, without.stage, without.arm, without.scale, json.dumps(switch))


@cache
def _switched(recipe: str, stage: str, arm: str, scale: str, switch: str) -> dict[str, Any] | None:
    """What the arm's run would depend on with the switch (as JSON) set too; None where the switch does not fit."""
    changes, where, member = arm_changes(recipe, arm)
    try:
        return _relevant(resolve(recipe, scale, {**changes, **json.loads(switch)}, where, member), stage)
    except RecipeError:  # a switch of another model of the system
        return None


def _relevant(spec: Recipe, stage: str) -> dict[str, Any]:
    """Features, model and the stages that a run of ``stage`` comes from, without objectives of weight 0."""
    tree, waiting, stages = spec.model_dump(mode="json"), [stage], {}
    while waiting:
        name = waiting.pop()
        own = stages[name] = tree["stages"][name]
        own["objectives"] = {key: value for key, value in own["objectives"].items() if value["weight"] > 0}
        waiting += [own[role] for role in ("init_from", "teacher") if own[role] and own[role] not in stages]
    return {"features": tree["features"], "model": tree["model"], "stages": stages}


def between(answer: Answer, recipe: str, quirky: str, without: str) -> Cost:
    """Two arms of a question on one system, paired anew whichever of them is the reference there."""
    frame = answer.runs
    of = frame[frame["recipe"] == recipe]
    arm, base = of[of["arm"] == quirky], of[of["arm"] == without]
    metric = str(arm["metric"].iloc[0])
    found = paired(arm, base, metric)
    return Cost(
        answer.name,
        (quirky, without),
        metric,
        len(arm),
        found["difference"],
        found["low"],
        found["high"],
        found["verdict"],
    )


def rows(answers: list[Answer], recipe: str) -> list[dict[str, Any]]:
    """One row per quirk of a recipe and one for all at once, as ``tables.quirks`` shows them."""
    spec = load(Recipe, recipe)
    together = all_at_once(spec) if spec.quirks else None
    questions = {answer.name: answer.spec.question for answer in answers}
    result = []
    for quirk in (*spec.quirks, *([together] if together else [])):
        found = cost(answers, recipe, quirk.switch)
        result.append(
            {
                "id": quirk.id,
                "says": quirk.says,
                "switch": ""
                if quirk is together
                else "; ".join(f"{path}: {value(v)}" for path, v in quirk.switch.items()),
                "can_be_switched": bool(quirk.switch),
                "question": found.question if found else "",
                "asked": questions[found.question] if found else "",
                "arms": " against ".join(found.arms) if found else "",
                "seeds": found.seeds if found else 0,
                "difference": found.difference if found else float("nan"),
                "low": found.low if found else float("nan"),
                "high": found.high if found else float("nan"),
                "verdict": found.verdict if found else "",
            }
        )
    return result
