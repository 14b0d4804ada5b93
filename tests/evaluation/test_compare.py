"""Verdicts, edges, and intervals that cover as often as they say and are quick."""

import time

import numpy as np
import pytest
from scipy import stats

from lib.evaluation import intervals
from lib.evaluation.compare import HELPS, HURTS, NOTHING, UNKNOWN, compare, detectable, holm
from lib.evaluation.intervals import interval, spearman_draws
from lib.evaluation.metrics import spearman


@pytest.mark.parametrize(
    ("difference", "higher_is_better", "verdict"),
    [
        ([0.019, 0.020, 0.021], True, HELPS),
        ([0.019, 0.020, 0.021], False, HURTS),
        ([-0.019, -0.020, -0.021], True, HURTS),
        ([-0.019, -0.020, -0.021], False, HELPS),
        ([0.01, 0.02, 0.03], True, NOTHING),
        ([0.0, 0.0, 0.0], True, NOTHING),
        ([0.3], True, UNKNOWN),
    ],
)
def test_verdicts(difference, higher_is_better, verdict):
    reference = np.full(len(difference), 0.5)
    assert compare(reference + difference, reference, higher_is_better).verdict == verdict


def test_interval_by_hand():
    """Differences .01, .02, .03: mean .02, sd .01, t(.975, 2) = 4.302653, half width .0248416."""
    found = compare(np.array([0.51, 0.62, 0.73]), np.array([0.5, 0.6, 0.7]))
    assert found[:3] == pytest.approx((0.02, 0.02 - 0.0248413, 0.02 + 0.0248413), abs=1e-5)


def test_one_seed_has_a_difference_but_no_interval():
    result = compare(np.array([0.6]), np.array([0.5]))
    assert result.mean == pytest.approx(0.1) and np.isnan([result.low, result.high]).all()


@pytest.mark.parametrize(("arm", "reference"), [(3, 2), (1, 3), (0, 0)])
def test_different_seeds_are_refused(arm, reference):
    with pytest.raises(ValueError, match="same seeds"):
        compare(np.zeros(arm), np.zeros(reference))


def test_holm_by_hand_stops_at_one_and_takes_nothing():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.6]) == pytest.approx([1.0, 1.0])
    assert holm([]).shape == (0,)


def test_detectable_by_hand():
    """sd 0.01, 4 seeds: (t(0.975, 3) + t(0.8, 3)) / 2 = (3.182446 + 0.978472) / 2 hundredths."""
    assert detectable(0.01, 4) == pytest.approx(0.02080459, abs=1e-7)
    assert np.isnan(detectable(0.01, 1)) and detectable(0.01, 10) < detectable(0.01, 5) < detectable(0.02, 5)


def simulated(generator: np.random.Generator, count: int, rho: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores of pairs that all have first videos of their own, correlated by ``rho``."""
    truth = generator.normal(size=count)
    predicted = rho * truth + np.sqrt(1 - rho**2) * generator.normal(size=count)
    return predicted, truth, np.stack([np.arange(count), np.arange(count) + count], axis=1)


def test_spearman_interval_covers(monkeypatch):
    """Normal data of Pearson correlation rho has Spearman 6/pi asin(rho/2) (Pearson 1907); 95 % should cover it."""
    monkeypatch.setattr(intervals, "DRAWS", 200)
    generator, rho = np.random.default_rng(0), 0.6
    true = 6 / np.pi * np.arcsin(rho / 2)
    found = [interval(spearman_draws(*simulated(generator, 60, rho))) for _ in range(60)]
    assert 0.85 * 60 <= sum(low <= true <= high for low, high in found) <= 60


def test_t_interval_covers():
    """Five seeds, true difference 0.01: 95 of 100 intervals contain it, give or take (binomial, 1000 draws)."""
    generator = np.random.default_rng(0)
    results = [compare(generator.normal(0.01, 0.02, 5), np.zeros(5)) for _ in range(1000)]
    inside = sum(result.low <= 0.01 <= result.high for result in results)
    assert stats.binomtest(inside, 1000, 0.95).pvalue > 0.01


def test_pairs_of_one_query_stay_together():
    """Ten queries of 20 copies each hold no more than ten pairs do: the interval must not shrink."""
    predicted, truth, pairs = simulated(np.random.default_rng(0), 10, 0.6)
    low, high = interval(spearman_draws(predicted, truth, pairs))
    assert low < spearman(predicted, truth) < high
    copied = interval(spearman_draws(np.repeat(predicted, 20), np.repeat(truth, 20), np.repeat(pairs, 20, axis=0)))
    assert copied[1] - copied[0] == pytest.approx(high - low, rel=0.2)


def test_interval_of_3000_pairs_is_quick():
    """In processor time, so that a busy machine does not fail it; a query has four pairs."""
    predicted, truth, pairs = simulated(np.random.default_rng(0), 3000, 0.6)
    pairs[:, 0] //= 4
    started = time.process_time()
    spearman_draws(predicted, truth, pairs)
    assert time.process_time() - started < 2
