"""``params/contradictions.yaml``: what its rows name exists, nothing is said twice, and no quirk is left out."""

import pytest

from lab.show import claims as module
from lab.show.claims import contradictions, quirk_of
from lab.show.specs import Contradiction, Contradictions
from lib.recipes.errors import RecipeError
from lib.recipes.load import load, names, validate
from lib.recipes.specs import Recipe


def row(**more) -> Contradiction:
    return Contradiction(**{"recipe": "aiac_rank1", "id": "x", "said": "a", "coded": "b", "unmeasured": "c", **more})


def measured(**more) -> dict:
    return {"question": "pool_padding", "coded": "padding", "said": "masked", **more}


def test_every_quirk_of_every_recipe_is_listed() -> None:
    listed = {(row.recipe, row.id) for row in contradictions()}
    assert {(name, quirk.id) for name in names(Recipe) for quirk in load(Recipe, name).quirks} <= listed
    assert all(row.said and row.coded for row in contradictions())


def test_a_row_without_its_own_sentence_takes_that_of_the_quirk() -> None:
    taken = next(row for row in load(Contradictions, "contradictions").rows if not row.coded)
    quirk = quirk_of(taken)
    filled = {(row.recipe, row.id): row.coded for row in contradictions()}
    assert quirk is not None and filled[taken.recipe, taken.id] == quirk.says


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (row(recipe="aiac_rank2"), "aiac_rank2 x: recipe: 'aiac_rank2': did you mean 'aiac_rank6'?"),
        (row(variant="faithfull"), "variant: 'faithfull': did you mean 'faithful'?"),
        (row(id="A7-1", variant="faithful"), "aiac_rank1 A7-1: variant: the recipe's quirk has a switch already"),
        (row(measured=measured(question="pool_paddin")), "question: 'pool_paddin': did you mean 'pool_padding'?"),
        (row(measured=measured(coded="paddin")), "measured.coded: 'paddin': did you mean 'padding'?"),
        (row(measured=measured(said="no")), "measured.said: 'no': valid: masked, padding"),
        (row(recipe="aiac_rank17", measured=measured()), "pool_padding does not ask of recipe: 'aiac_rank17': "),
        (row(coded=""), "coded: missing, and the recipe lists no quirk of that id"),
    ],
)
def test_what_is_not_there_is_named_with_the_row(wrong, sentence, monkeypatch) -> None:
    kind = Contradictions(rows=(wrong,))
    monkeypatch.setattr(module, "load", lambda of, name: kind if of is Contradictions else load(of, name))
    with pytest.raises(RecipeError) as error:
        contradictions()
    assert str(error.value).startswith("params/contradictions.yaml: ") and sentence in str(error.value)


def test_rows_that_say_too_little_or_come_twice():
    row = {"recipe": "r", "id": "x", "said": "a"}
    with pytest.raises(RecipeError, match=r"^some.yaml: .*r x: give measured .* or unmeasured \(why none\)"):
        validate(Contradictions, {"rows": [row]}, "some.yaml")
    with pytest.raises(RecipeError, match="^some.yaml: .*r x is there twice; keep one of them"):
        validate(Contradictions, {"rows": [row | {"unmeasured": "b"}] * 2}, "some.yaml")
