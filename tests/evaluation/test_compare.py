"""Paired comparisons by hand, and intervals that cover as often as they say."""

import time

import numpy as np
import pytest
from scipy import stats

from lib.evaluation.compare import HELPS, HURTS, NOTHING, UNKNOWN, compare, detectable, holm
from lib.evaluation.intervals import interval_of_mean_f1, interval_of_spearman
from lib.evaluation.metrics import spearman


def test_t_interval_by_hand():
    """Differences 0.01 0.02 0.03: mean 0.02, sd 0.01, t(0.975, 2) = 4.302653 (any table): half width 0.0248414."""
    result = compare(np.array([0.51, 0.62, 0.73]), np.array([0.50, 0.60, 0.70]))
    assert result.mean == pytest.approx(0.02)
    assert result.high - result.mean == pytest.approx(0.0248414, abs=1e-6)
    assert result.mean - result.low == pytest.approx(0.0248414, abs=1e-6)
    assert result.verdict == NOTHING


@pytest.mark.parametrize(
    ("difference", "higher_is_better", "verdict"),
    [
        ([0.019, 0.020, 0.021], True, HELPS),
        ([0.019, 0.020, 0.021], False, HURTS),
        ([-0.019, -0.020, -0.021], True, HURTS),
        ([-0.019, -0.020, -0.021], False, HELPS),
        ([-0.01, 0.0, 0.01], True, NOTHING),
        ([0.0, 0.0, 0.0], True, NOTHING),
        ([0.3], True, UNKNOWN),
    ],
)
def test_verdicts(difference, higher_is_better, verdict):
    reference = np.full(len(difference), 0.5)
    assert compare(reference + difference, reference, higher_is_better).verdict == verdict


def test_one_seed_has_a_difference_but_no_interval():
    result = compare(np.array([0.6]), np.array([0.5]))
    assert result.mean == pytest.approx(0.1) and np.isnan([result.low, result.high]).all()


@pytest.mark.parametrize(("arm", "reference"), [(3, 2), (1, 3), (0, 0)])
def test_different_seeds_are_refused(arm, reference):
    with pytest.raises(ValueError, match="same seeds"):
        compare(np.zeros(arm), np.zeros(reference))


def test_holm_by_hand():
    """Sorted 0.01 0.03 0.04 times 3 2 1 is 0.03 0.06 0.04; never below the one before: 0.03 0.06 0.06."""
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.6]) == pytest.approx([1.0, 1.0])
    assert holm([]).shape == (0,)


def test_detectable_by_hand():
    """sd 0.01, 4 seeds: (t(0.975, 3) + t(0.8, 3)) / 2 = (3.182446 + 0.978472) / 2 hundredths."""
    assert detectable(0.01, 4) == pytest.approx(0.020804590, abs=1e-7)
    assert np.isnan(detectable(0.01, 1))
    assert detectable(0.01, 10) < detectable(0.01, 5) < detectable(0.02, 5)


def simulated(generator: np.random.Generator, count: int, rho: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores of pairs that all have first videos of their own, correlated by ``rho``."""
    truth = generator.normal(size=count)
    predicted = rho * truth + np.sqrt(1 - rho**2) * generator.normal(size=count)
    return predicted, truth, np.stack([np.arange(count), np.arange(count) + count], axis=1)


def test_intervals_are_deterministic_and_contain_the_score():
    predicted, truth, pairs = simulated(np.random.default_rng(0), 200, 0.6)
    low, high = interval_of_spearman(predicted, truth, pairs)
    assert (low, high) == interval_of_spearman(predicted, truth, pairs)
    assert (low, high) != interval_of_spearman(predicted, truth, pairs, seed=1)
    assert low < spearman(predicted, truth) < high

    classes = np.random.default_rng(0).integers(0, 20, 300)
    guessed = np.where(np.random.default_rng(1).random(300) < 0.7, classes, (classes + 1) % 20)
    low, high = interval_of_mean_f1(classes, guessed, np.arange(20) // 5)
    assert (low, high) == interval_of_mean_f1(classes, guessed, np.arange(20) // 5)
    assert 0.6 < low < high < 0.9


def test_spearman_interval_covers():
    """Normal data of Pearson correlation rho has Spearman 6/pi asin(rho/2) (Pearson 1907); 95 % should cover it."""
    generator, rho = np.random.default_rng(0), 0.6
    true = 6 / np.pi * np.arcsin(rho / 2)
    covered = 0
    for _ in range(60):
        low, high = interval_of_spearman(*simulated(generator, 80, rho))
        covered += low <= true <= high
    assert 0.85 * 60 <= covered <= 60


def test_t_interval_covers():
    """Five seeds, true difference 0.01: 95 of 100 intervals contain it, give or take (binomial, 1000 draws)."""
    generator = np.random.default_rng(0)
    inside = 0
    for _ in range(1000):
        result = compare(generator.normal(0.01, 0.02, 5), np.zeros(5))
        inside += result.low <= 0.01 <= result.high
    assert stats.binomtest(inside, 1000, 0.95).pvalue > 0.01


def test_pairs_of_one_query_stay_together():
    """Ten queries of 20 copies each hold no more than ten pairs do: the interval must not shrink."""
    predicted, truth, pairs = simulated(np.random.default_rng(0), 10, 0.6)
    low, high = interval_of_spearman(predicted, truth, pairs)
    copied = interval_of_spearman(np.repeat(predicted, 20), np.repeat(truth, 20), np.repeat(pairs, 20, axis=0))
    assert copied[1] - copied[0] == pytest.approx(high - low, rel=0.2)


def test_interval_of_3000_pairs_is_quick():
    arguments = simulated(np.random.default_rng(0), 3000, 0.6)
    started = time.perf_counter()
    interval_of_spearman(*arguments)
    assert time.perf_counter() - started < 2
