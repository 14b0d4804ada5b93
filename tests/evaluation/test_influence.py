"""Influences against scores of samples in which an item has more weight, and variances against drawn samples."""

import numpy as np
import pytest

from lib.evaluation.influence import mean_f1_influence, shared_variance, spearman_influence, variance
from lib.evaluation.metrics import mean_f1, spearman

RNG = np.random.default_rng(0)
TRUTH = RNG.integers(0, 21, 200) / 20
PREDICTED = np.round(TRUTH + 0.3 * RNG.normal(size=200), 1)  # ties on both sides
LEVEL1 = np.arange(12) // 4
CLASSES = np.minimum(RNG.geometric(0.2, 400) - 1, 11)
ANSWERS = np.where(RNG.random(400) < 0.6, CLASSES, RNG.integers(0, 12, 400))


def f1(truth: np.ndarray, predicted: np.ndarray) -> float:
    return mean_f1(truth, predicted, LEVEL1)["mean_f1"]


@pytest.mark.parametrize("item", [0, 7, 60, 150])
def test_influence_is_the_derivative_by_an_items_weight(item):
    """Every item fifty times, one of them once more: the score moves by its influence, n times as large."""
    many = np.append(np.tile(np.arange(200), 50), item)
    moved = spearman(PREDICTED[many], TRUTH[many]) - spearman(PREDICTED, TRUTH)
    assert moved * len(many) / 200 == pytest.approx(spearman_influence(PREDICTED, TRUTH)[item], abs=3e-6)
    many = np.append(np.tile(np.arange(400), 50), item)
    moved = f1(CLASSES[many], ANSWERS[many]) - f1(CLASSES, ANSWERS)
    assert moved * len(many) / 400 == pytest.approx(mean_f1_influence(ANSWERS, CLASSES, LEVEL1)[item], abs=3e-6)


def test_influences_sum_to_zero_and_a_constant_has_none():
    assert spearman_influence(PREDICTED, TRUTH).sum() == pytest.approx(0, abs=1e-12)
    assert mean_f1_influence(ANSWERS, CLASSES, LEVEL1).sum() == pytest.approx(0, abs=1e-12)
    assert not spearman_influence(np.ones(200), TRUTH).any()


def test_variance_is_that_of_samples():
    samples = RNG.integers(0, 200, (600, 200))
    drawn = np.std([spearman(PREDICTED[rows], TRUTH[rows]) for rows in samples])
    assert variance(spearman_influence(PREDICTED, TRUTH)) ** 0.5 == pytest.approx(drawn, rel=0.1)
    samples = RNG.integers(0, 400, (300, 400))
    drawn = np.std([f1(CLASSES[rows], ANSWERS[rows]) for rows in samples])
    assert variance(mean_f1_influence(ANSWERS, CLASSES, LEVEL1)) ** 0.5 == pytest.approx(drawn, rel=0.1)


def test_pairs_of_one_video_by_hand():
    """Pairs 1-2, 2-3 and 4-5 of influences 1, 2 and 4: 1 + 4 + 16, and twice 1 * 2 for the video they share at either end."""
    influence = np.array([1.0, 2.0, 4.0])
    assert variance(influence, np.array([[1, 2], [3, 2], [4, 5]])) == 25
    assert variance(influence, np.array([[1, 2], [3, 6], [4, 5]])) == variance(influence) == 21


def test_variance_of_pairs_is_that_of_graphs_over_new_videos():
    """Videos with an effect of their own, each in five pairs: taken as independent, pairs would look too sure."""
    means, told, alone = [], [], []
    for _ in range(400):
        pairs = RNG.integers(0, 80, (200, 2))
        values = RNG.normal(size=80)[pairs].sum(axis=1)
        influence = (values - values.mean()) / 200
        means.append(values.mean())
        told.append(variance(influence, pairs))
        alone.append(variance(influence))
    assert np.mean(told) == pytest.approx(np.var(means), rel=0.2) and np.mean(alone) < 0.5 * np.var(means)


def test_shared_variance_leaves_out_what_a_run_has_alone():
    """Influences of a thousand items: a part of variance 4 in all runs, and one of variance 9 in each alone."""
    shared, own = 2 * RNG.normal(size=1000), 3 * RNG.normal(size=(5, 1000))
    assert shared_variance(shared + own) == pytest.approx(4000, rel=0.15)
    assert shared_variance(np.stack([shared] * 3)) == pytest.approx(variance(shared))
    assert shared_variance(np.array([[1.0, 0.0], [0.0, 1.0]])) == 0  # nothing in common
    assert shared_variance(np.array([[1.0, 0.0], [-1.0, 0.0]])) == 0  # less than nothing
    assert shared_variance(own[:1]) == variance(own[0])
