"""``params/contradictions.yaml``, held against the recipes and questions that its rows name."""

from __future__ import annotations

from collections.abc import Collection

from lib.recipes.errors import RecipeError, nearest
from lib.recipes.load import file_of, load, names
from lib.recipes.specs import Ablation, Contradiction, Contradictions, Quirk, Recipe
from lib.runs.paths import shown


def contradictions() -> tuple[Contradiction, ...]:
    """Every row, in the file's order; ``coded`` is filled in from the recipe's list of quirks where it was left out.

    Raises:
        RecipeError: a row names a recipe, variant, question or arm that is not there, or a switch twice.
    """
    return tuple(_checked(row) for row in load(Contradictions, "contradictions").rows)


def quirk_of(row: Contradiction) -> Quirk | None:
    """The recipe's own entry of that id."""
    return next((quirk for quirk in load(Recipe, row.recipe).quirks if quirk.id == row.id), None)


def _checked(row: Contradiction) -> Contradiction:
    where = f"{shown(file_of(Contradictions, 'contradictions'))}: {row.recipe} {row.id}"
    _known(row.recipe, names(Recipe), f"{where}: recipe")
    quirk = quirk_of(row)
    if row.variant:
        _known(row.variant, load(Recipe, row.recipe).variants, f"{where}: variant")
        if quirk is not None and quirk.switch:
            raise RecipeError(f"{where}: variant: the recipe's quirk has a switch already; leave variant out")
    if row.measured is not None:
        _known(row.measured.question, names(Ablation), f"{where}: measured.question")
        asked = load(Ablation, row.measured.question)
        _known(row.recipe, asked.recipes, f"{where}: measured.question: {row.measured.question} does not ask of recipe")
        _known(row.measured.coded, asked.arms, f"{where}: measured.coded")
        _known(row.measured.said, asked.arms, f"{where}: measured.said")
    if row.coded:
        return row
    if quirk is None:
        raise RecipeError(f"{where}: coded: missing, and the recipe lists no quirk of that id to take it from")
    return row.model_copy(update={"coded": quirk.says})


def _known(name: str, choices: Collection[str], where: str) -> None:
    if name not in choices:
        raise RecipeError(f"{where}: {name!r}: {nearest(name, choices)}")
