"""Claims name systems, arms and ensembles: whether all of them are there."""

from __future__ import annotations

from lib.recipes.errors import RecipeError, nearest
from lib.recipes.load import file_of, load, names
from lib.recipes.specs import Ablation, Claims, EnsembleSpec


def check_claims() -> None:
    """Raises RecipeError: a claim names a system, an arm or an ensemble that is not there."""
    for name in names(Ablation):
        asked = load(Ablation, name)
        for claim in asked.claimed:
            if claim.recipe and claim.recipe not in asked.recipes:
                raise RecipeError(f"ablation {name}: claimed: recipe: {nearest(claim.recipe, list(asked.recipes))}")
            if claim.arm and claim.arm not in asked.arms:
                raise RecipeError(f"ablation {name}: claimed: arm: {nearest(claim.arm, list(asked.arms))}")
    for other in load(Claims, "claims").others:
        if other.ensemble:
            file_of(EnsembleSpec, other.ensemble)
