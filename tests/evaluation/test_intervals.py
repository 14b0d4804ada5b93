"""Scores on bootstrap samples against the metrics themselves; differences: exact zero for equals, verdicts by hand."""

import numpy as np
import pytest

from lib.evaluation import intervals
from lib.evaluation.compare import HELPS, HURTS, NOT_IN_PLAY
from lib.evaluation.metrics import mean_f1

RNG = np.random.default_rng(0)
PAIRS = np.stack([RNG.integers(0, 40, 150), RNG.integers(40, 90, 150)], axis=1)
TRUTH = RNG.normal(size=150).round(1)
PREDICTED = np.stack([TRUTH + noise * RNG.normal(size=150) for noise in (0.3, 1.0, 1.0)])


def test_class_draws_count_like_the_metric():
    level1, truth = np.array([0, 0, 1, 1, 2]), RNG.integers(0, 5, 60)
    classes = np.where(RNG.random(60) < 0.7, truth, RNG.integers(0, 4, 60))
    draws = intervals.mean_f1_draws(classes, truth, level1)
    assert len(draws) == intervals.DRAWS
    for draw, index in zip(draws[:40], intervals.resampled_videos(60), strict=False):
        assert draw == pytest.approx(mean_f1(truth[index], classes[index], level1)["mean_f1"], abs=1e-12)


def test_a_perfect_score_on_few_videos_is_not_a_certain_one():
    """Twelve right answers of twelve: Wilson's interval begins at 12 / (12 + 1.96 ** 2)."""
    level1, truth = np.array([0, 0, 1]), np.arange(12) % 3
    low, high = intervals.mean_f1_interval(truth, truth, level1)
    assert low == pytest.approx(12 / (12 + 1.959964**2)) and high == 1
    one_wrong = np.where(np.arange(12) == 5, 0, truth)
    found = intervals.mean_f1_interval(one_wrong, truth, level1)
    assert found == intervals.interval(intervals.mean_f1_draws(one_wrong, truth, level1)) and found[0] < found[1]


def test_differences_are_taken_on_the_same_samples():
    """Equal predictions differ by exactly nothing, however wide the interval of each is."""
    draws = [intervals.spearman_draws(predicted, TRUTH, PAIRS) for predicted in PREDICTED]
    same = intervals.difference(0.5, 0.5, draws[1], draws[1])
    assert same[:4] == (0.0, 0.0, 0.0, NOT_IN_PLAY)
    better = intervals.difference(0.9, 0.7, draws[0], draws[1])
    worse = intervals.difference(0.7, 0.9, draws[1], draws[0])
    assert better.verdict == HELPS and worse.verdict == HURTS and better.low == pytest.approx(-worse.high)
    assert intervals.difference(0.7, 0.7, draws[1], draws[2]).verdict.startswith("no effect above 0.")


def test_difference_by_hand():
    """Differences 0.00, 0.01, ..., 1.00: percentiles 2.5 and 97.5 are 0.025 and 0.975."""
    found = intervals.difference(0.8, 0.3, np.arange(101) / 100, np.zeros(101))
    assert found[:3] == pytest.approx((0.5, 0.025, 0.975))
    assert found.verdict == HELPS


def test_a_constant_sample_is_left_out():
    pairs = np.array([[0, 1], [2, 3], [4, 5], [6, 7]])
    assert np.isnan(intervals.spearman_draws(np.ones(4), np.arange(4.0), pairs)).all()
    assert intervals.interval(np.array([0.0, np.nan, 1.0])) == pytest.approx((0.025, 0.975))


def test_each_sample_is_correlated_as_scipy_does_it(monkeypatch):
    """With ties, with several pairs of one video, and whatever the number of samples worked on at once."""
    from scipy.stats import spearmanr

    generator = np.random.default_rng(3)
    pairs = np.stack([generator.integers(0, 20, 60), np.arange(100, 160)], axis=1)
    predicted, truth = generator.normal(size=60).round(1), generator.integers(0, 5, 60) / 4
    monkeypatch.setattr(intervals, "SAMPLED_NUMBERS", 60 * 7)
    draws = intervals.spearman_draws(predicted, truth, pairs)
    assert len(draws) == intervals.DRAWS
    for draw, counts in zip(draws[:40], intervals.resampled_pairs(pairs), strict=False):
        together = [len(set(counts[pairs[:, 0] == video])) == 1 for video in pairs[:, 0]]
        assert all(together), "pairs of a video stay together"
        assert draw == pytest.approx(spearmanr(predicted.repeat(counts), truth.repeat(counts)).statistic, abs=1e-12)
