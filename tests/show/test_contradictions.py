"""What the code really did: differences have one sign, agree with the recipes' pages, and say where nothing was asked."""

from __future__ import annotations

import pytest

from lab.show import pages_contradictions, quirk_costs
from lab.show.answers import answer
from lab.show.contradictions import contradictions, quirk_of


@pytest.fixture(scope="module")
def answers(world):
    return {name: answer(world, name) for name in world.ablations}


def rows_of(plan, answers) -> dict[tuple[str, str], dict]:
    frame = pages_contradictions.frame(plan, list(answers.values()))
    return {(row["recipe"], row["id"]): row for row in frame.to_dict("records")}


def test_only_the_plans_systems_and_all_of_theirs(world, answers):
    found = rows_of(world, answers)
    assert set(found) == {(row.recipe, row.id) for row in contradictions() if row.recipe in world.systems}
    assert len({recipe for recipe, _ in found}) == len(world.systems)


def test_difference_is_as_coded_minus_as_said_whichever_is_the_reference(world, answers):
    found = rows_of(world, answers)
    padding = answers["pool_padding"].comparisons.iloc[0]
    assert found["aiac_rank1", "A7-1"]["difference"] == padding["difference"]
    strict = answers["strict_split"].comparisons.set_index("recipe").loc["aiac_rank1"]
    leak = found["aiac_rank1", "A7-7"]
    assert leak["difference"] == pytest.approx(-strict["difference"]) and leak["low"] == pytest.approx(-strict["high"])


def test_the_recipes_page_measures_the_same_arms(world, answers):
    """A quirk whose switch lies between two arms of a question of this report is measured by just those."""
    compared = 0
    for row in contradictions():
        quirk = quirk_of(row)
        cost = (
            quirk_costs.cost(answers.values(), row.recipe, quirk.switch)
            if quirk and row.recipe in world.systems
            else None
        )
        if cost is not None:
            assert row.measured is not None, (row.recipe, row.id)
            assert (row.measured.question, (row.measured.coded, row.measured.said)) == (cost.question, cost.arms)
            compared += 1
    assert compared >= 9


def test_a_question_that_is_not_asked_names_its_command(world, answers):
    few = {name: found for name, found in answers.items() if name != "pool_padding"}
    text = pages_contradictions.table(pages_contradictions.frame(world, list(few.values()))).markdown()
    assert "not in this report<br>`make ablation NAME=pool_padding` asks<br>padding against masked" in text


def test_scores_that_are_all_the_same_are_told_apart_from_small_ones(world, answers):
    frame = pages_contradictions.frame(world, list(answers.values()))
    same = frame[frame["id"] == "A7-1"].assign(difference=0.0, low=0.0, high=0.0)
    told = "every score is the same: it never came into play here"
    assert told in pages_contradictions.table(same).markdown()
    assert told not in pages_contradictions.table(frame[frame["id"] == "A7-1"]).markdown()


def test_switches_come_from_the_quirk_the_variant_or_the_arms(world, answers):
    found = {key: row["switch"] for key, row in rows_of(world, answers).items()}
    assert found["aiac_rank1", "A7-5"] == "stages.pretrain.reload_best_each_epoch: true"
    assert found["aiac_rank1", "all"] == "variant faithful"
    assert found["aiac_rank1", "A7-2"].startswith("not stages.pretrain.objectives.frames.similarity: cosine\nnot ")
    assert found["aiac_rank1", "A7-3"] == ""


def test_summary_counts_what_was_measured(world, answers):
    frame = pages_contradictions.frame(world, list(answers.values()))
    told = pages_contradictions.summary(frame)
    assert told.startswith(f"{len(frame)} listed, {(frame['question'] != '').sum()} with a question, ")
    unasked = pages_contradictions.frame(world, [])
    assert pages_contradictions.summary(unasked).endswith("0 of those in this report.")
