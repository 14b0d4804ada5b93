"""The published order: who is in it, its correlation against values by hand, and what table and figure show."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from lab.show import order, runs
from lib.evaluation.metrics import spearman
from lib.recipes.load import load
from lib.recipes.specs import Recipe
from tests.show import drawn

JOBS = {"base": 0.886031, "job2": 0.884257, "job3": 0.883843, "job4": 0.885397, "job5": 0.885795, "job6": 0.886289}


@pytest.fixture(scope="module")
def found(world) -> pd.DataFrame:
    return order.models(world, runs.systems(world))


def test_six_jobs_in_their_published_order_and_nothing_of_a_system_with_one_model(found):
    assert found.set_index("arm")["published"].to_dict() == JOBS
    assert found["published"].is_monotonic_decreasing
    assert found["model"].iloc[0] == "Job 6" and found["group"].unique().tolist() == ["AIAC 1st, finetune"]
    assert set(found["split"]) == {"validation"}


def test_correlation_is_that_of_the_two_columns_and_seeds_are_counted(world, found):
    agreed = order.agreement(world, found).iloc[0]
    assert agreed["rho"] == pytest.approx(spearman(found["published"].to_numpy(), found["score"].to_numpy()))
    assert -1 <= agreed["low"] <= agreed["rho"] <= agreed["high"] <= 1
    assert (agreed["models"], agreed["seeds"]) == (6, found["seeds"].min())
    agreed = order.agreement(world, found.assign(seeds=[1, 1, 3, 1, 1, 1]))
    assert order.sentence(agreed).endswith(", at least 1 seed a model).")


def test_the_exact_p_of_a_perfect_order_is_two_of_all_orders():
    assert order.p_value(np.arange(6), np.arange(6) ** 2) == pytest.approx(2 / 720)
    assert order.p_value(np.arange(6), -np.arange(6)) == pytest.approx(2 / 720)


def test_items_drawn_anew_scatter_as_those_of_a_bootstrap_and_runs_scatter_together():
    rng = np.random.default_rng(0)
    score = rng.normal(size=2000)
    cosine = np.stack([score, score + rng.normal(size=2000)])
    cosine = np.vstack([cosine, cosine[1] + 0.01 * rng.normal(size=2000)])
    draws = order.item_draws(cosine, score, np.arange(4000).reshape(-1, 2))
    rho = spearman(cosine[1], score)
    assert np.allclose(draws[:, 0], 1, atol=1e-3) and draws[:, 1].mean() == pytest.approx(rho, abs=0.005)
    again = [rng.integers(0, 2000, 2000) for _ in range(200)]
    assert draws[:, 1].std() == pytest.approx(np.std([spearman(cosine[1][i], score[i]) for i in again]), rel=0.2)
    assert (draws[:, 1] - draws[:, 2]).std() < 0.1 * draws[:, 1].std()


def test_pairs_that_share_a_video_scatter_more():
    rng = np.random.default_rng(0)
    score = rng.normal(size=1000)
    cosine = (score + rng.normal(size=1000))[None]
    alone, twice = np.arange(2000).reshape(-1, 2), np.stack([np.arange(1000) // 20, 1000 + np.arange(1000)], axis=1)
    both = np.sort(score)  # pairs of one first video are much alike
    spread = [order.item_draws(cosine[:, np.argsort(score)], both, pairs).std() for pairs in (alone, twice)]
    assert spread[1] > 1.2 * spread[0]


def test_figure_shows_both_scores_in_the_published_order(world, found):
    picture = order.picture(found, order.agreement(world, found))
    axis = picture.figure.axes[0]
    assert drawn.ticks(axis)[0] == "Job 6  0.886"
    assert np.allclose(drawn.line(axis, "mean over seeds")[:, 0], found["score"])


def test_a_report_without_such_systems_says_so(world):
    board = runs.systems(world)
    none = order.models(world, board[board["recipe"] == "wechat_baseline"])
    assert none.empty and "No system" in order.reading(order.agreement(world, none)).data


def test_every_model_of_the_sixth_place_has_a_score_to_hold_against_ours():
    spec = load(Recipe, "aiac_rank6")
    for stage in ("finetune", "distill"):
        assert {p.arm for p in spec.published if p.stage == stage} == {"base", *spec.members}


def test_seeds_are_drawn_among_the_runs_of_a_model(monkeypatch):
    """Model a is right with each of two seeds, model b is upside down with each of its two."""
    score = np.random.default_rng(0).normal(size=200)
    cosine = {"a": score, "b": -score}
    job = {arm: SimpleNamespace(folder=arm) for arm in cosine}
    plan = SimpleNamespace(member_jobs=lambda recipe, stage: {arm: [job[arm]] * 2 for arm in cosine})
    pairs = np.arange(400).reshape(-1, 2)
    found = {arm: SimpleNamespace(cosine=values, score=score, pairs=pairs) for arm, values in cosine.items()}
    monkeypatch.setattr(order.predictions, "of_pairs", found.__getitem__)
    drawn_scores = order._drawn(plan, pd.DataFrame({"recipe": "r", "stage": "finetune", "arm": ["a", "b"]}))
    assert np.allclose(drawn_scores, [1, -1])
