"""Costs of quirks from the runs of questions: which arms fit a switch, in which direction, and what the page says."""

import dataclasses

import pytest

from lab.show import quirk_costs, tables
from lab.show import runs as gather
from lab.show.answers import answer
from lib.recipes.load import load
from lib.recipes.specs import Ablation, Recipe


@pytest.fixture(scope="module")
def answers(world):
    return {name: answer(world, name) for name in world.ablations}


def switch_of(recipe: str, quirk: str) -> dict:
    return next(q.switch for q in load(Recipe, recipe).quirks if q.id == quirk)


def test_arm_against_its_reference_has_the_numbers_of_the_question(answers):
    found = quirk_costs.cost(answers.values(), "aiac_rank1", switch_of("aiac_rank1", "A7-1"))
    row = answers["pool_padding"].comparisons.iloc[0]
    assert (found.question, found.arms, found.seeds) == ("pool_padding", ("padding", "masked"), 3)
    assert (found.difference, found.low, found.verdict) == (row["difference"], row["low"], row["verdict"])


def test_two_arms_neither_of_which_is_the_reference(answers):
    """C7-1 lies between coded and described; the question compares both with training without the loss."""
    found = quirk_costs.cost(answers.values(), "aiac_rank17", switch_of("aiac_rank17", "C7-1"))
    means = answers["nearest_level"].frame.set_index("arm")["score"]
    assert found.arms == ("coded", "described")
    assert found.difference == pytest.approx(means["coded"] - means["described"])


def test_a_reference_that_has_the_quirk_turns_the_sign(answers):
    """Asked the other way round, with the quirk as the reference, the cost is the same."""
    asked = answers["pool_padding"]
    turned = dataclasses.replace(asked, spec=asked.spec.model_copy(update={"reference": "padding"}))
    switch = switch_of("aiac_rank1", "A7-1")
    assert quirk_costs.cost([turned], "aiac_rank1", switch) == quirk_costs.cost([asked], "aiac_rank1", switch)


def test_nothing_fits(answers):
    """Half a switch, another recipe's runs, a switch of another model and no switch at all measure nothing."""
    everything = list(answers.values())
    half = {"model.pooling.include_padding": True}
    assert quirk_costs.cost(everything, "aiac_rank1", half) is None
    assert quirk_costs.cost(everything, "aiac_rank17", switch_of("aiac_rank1", "A7-1")) is None
    assert quirk_costs.cost(everything, "aiac_rank1", {"model.fusion.layers.nothing": 1}) is None
    assert quirk_costs.cost(everything, "aiac_rank1", {}) is None
    assert quirk_costs.cost(everything, "aiac_rank1", {"stages.distill.data.target": "raw"}) is None  # no such run


def test_all_at_once(answers):
    rows = {row["id"]: row for row in quirk_costs.rows(list(answers.values()), "wechat_baseline")}
    assert rows["all"]["question"] == "faithful" and rows["all"]["switch"] == ""
    mask = answers["nextvlad_mask"].comparisons.iloc[0]
    assert [row["difference"] for row in rows.values() if row["question"] == "nextvlad_mask"] == [mask["difference"]]


def test_table_says_what_was_measured_and_what_not(answers):
    asked = [answer for name, answer in answers.items() if not name.startswith("quirks_")]
    table = tables.quirks(quirk_costs.rows(asked, "aiac_rank1"))
    lines = {line.split("|")[1].strip(" `"): line for line in table.markdown().splitlines() if line.startswith("| `")}
    row = answers["pool_padding"].comparisons.iloc[0]
    assert f"{row['difference']:+.4f}".replace("-", "−") in lines["A7-1"] and f"**{row['verdict']}**" in lines["A7-1"]
    assert "[padding against masked](ablation_pool_padding.md)" in lines["A7-1"]
    assert "not measured in this report" in lines["A7-4"] and "not measured" not in lines["A7-6"]
    assert "3 paired seeds" in table.caption
    unasked = tables.quirks(quirk_costs.rows([], "aiac_rank1"))
    assert unasked.markdown().count("not measured in this report") == 5 and "paired seed." not in unasked.caption


@pytest.mark.parametrize("recipe", ["aiac_rank1", "aiac_rank6", "aiac_rank17"])
def test_every_arm_of_the_quirk_questions_is_a_quirk(recipe):
    """Arms carry the quirk's number and nothing but its switch; ``all`` is the recipe's faithful variant."""
    spec, question = load(Recipe, recipe), load(Ablation, f"quirks_{recipe}")
    switches = {quirk.id.lower().replace("-", "_"): dict(quirk.switch) for quirk in spec.quirks}
    switches |= {"fixed": {}, "all": dict(spec.variants["faithful"])}
    assert {arm: switches[arm] for arm in question.arms} == question.arms and len(question.arms) <= 6


def test_leak_free_column_reads_the_arm_that_a_question_names(world):
    board = gather.systems(world).set_index(["recipe", "stage", "arm"])
    strict = gather.rows(world.ablation_jobs("strict_split")["aiac_rank1", "strict"])["score"].mean()
    assert board.loc[("aiac_rank1", "finetune", "base"), "leak_free"] == pytest.approx(strict)
    assert (
        board.drop(index=[("aiac_rank1", "finetune", "base"), ("aiac_rank17", "finetune", "base")])["leak_free"]
        .isna()
        .all()
    )
