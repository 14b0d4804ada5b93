"""Arms: what ``base``, a variant, a member of a system or ``<ablation>.<arm>`` changes in a recipe."""

from __future__ import annotations

from functools import cache
from typing import Any

from lib.recipes.errors import RecipeError, nearest
from lib.recipes.load import file_of, load, names, resolve
from lib.recipes.specs import Ablation, Recipe
from lib.runs import paths


@cache
def resolved(recipe: str, arm: str, scale: str, given: bool) -> tuple[Recipe, str]:
    """The recipe under an arm, and the place to name in errors; resolved once for all stages and seeds of a plan.

    Args:
        given: frames come with the corpus, unless the arm says otherwise: what the scale's own corpora have says nothing
            of a user's.
    """
    name, _, fold = arm.partition("@")
    changes, where, member = arm_changes(recipe, name)
    if given and "features.frames.set" not in changes:
        changes = {"features.frames.set": "given", **changes}
    spec = resolve(recipe, scale, changes, where, member)
    if fold:
        spec = resolve(recipe, scale, {**changes, **_fold_changes(spec, fold, where)}, where, member)
    return spec, where


def arms_of_question(arm: str) -> list[str]:
    """All arms of the question that an arm belongs to, the reference first; none for the recipe's own arms."""
    if "." not in arm:
        return []
    question = arm.split(".", 1)[0]
    asked = load(Ablation, question)
    return [f"{question}.{name}" for name in sorted(asked.arms, key=lambda name: name != asked.reference)]


def _fold_changes(spec: Recipe, fold: str, where: str) -> dict[str, Any]:
    folded = {name: stage.data.split for name, stage in spec.stages.items() if stage.data.split.in_folds}
    if not fold.isdecimal() or any(int(fold) >= split.k for split in folded.values()) or not folded:
        most = max((split.k for split in folded.values()), default=0)
        raise RecipeError(
            f"{where}: no fold {fold!r}; " + (f"folds are 0 to {most - 1}" if folded else "no stage is in folds")
        )
    return {f"stages.{name}.data.split.fold": int(fold) for name in folded}


def arm_changes(recipe: str, arm: str) -> tuple[dict[str, Any], str, str]:
    """The overlay of an arm, the place to name in errors, and the member of the system that it is laid over.

    Raises:
        RecipeError: neither ``base``, nor a variant of the recipe, nor ``<ablation>.<arm>``.
    """
    file = paths.shown(file_of(Recipe, recipe))
    variants = load(Recipe, recipe).variants
    if arm == "base":
        return {}, file, "base"
    if arm in load(Recipe, recipe).members:
        return {}, f"{file}: variants.{arm}", arm
    if arm in variants:
        return dict(variants[arm]), f"{file}: variants.{arm}", "base"
    if "." in arm:
        question, name = arm.split(".", 1)
        ablation = load(Ablation, question)
        if name not in ablation.arms:
            raise RecipeError(
                f"{paths.shown(file_of(Ablation, question))}: no arm {name!r}; {nearest(name, ablation.arms)}"
            )
        where = f"{paths.shown(file_of(Ablation, question))}: arms.{name}"
        return dict(ablation.arms[name]), where, ablation.member
    choices = ["base", *variants, *(f"{a}.{n}" for a in names(Ablation) for n in load(Ablation, a).arms)]
    raise RecipeError(f"{file}: no arm {arm!r}; {nearest(arm, choices)}")
