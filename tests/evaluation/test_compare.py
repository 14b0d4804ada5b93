"""Verdicts and their precedence by hand, noise by hand, and intervals that cover as often as they say."""

import time

import numpy as np
import pytest
from scipy import special, stats

from lib.evaluation import intervals
from lib.evaluation.compare import (
    HELPS,
    HURTS,
    NOT_IN_PLAY,
    RULED_OUT,
    TOO_SMALL,
    UNKNOWN,
    Noise,
    compare,
    detectable,
    fitted,
    holm,
    verdict_of,
    word,
)
from lib.evaluation.influence import shared_variance, spearman_influence
from lib.evaluation.intervals import interval, spearman_draws
from lib.evaluation.metrics import spearman

NAN = float("nan")


@pytest.mark.parametrize(
    ("low", "high", "claimed", "higher_is_better", "verdict"),
    [
        (0.001, 0.020, NAN, True, HELPS),
        (0.001, 0.020, 0.5, True, HELPS),  # what is seen comes before what was claimed
        (0.001, 0.020, NAN, False, HURTS),
        (-0.020, -0.001, 0.01, True, HURTS),  # also where it is against its claim
        (-0.020, -0.001, NAN, False, HELPS),
        (-0.002, 0.004, 0.005, True, RULED_OUT),
        (-0.002, 0.004, -0.003, True, RULED_OUT),
        (-0.002, 0.004, 0.004, True, TOO_SMALL),  # an interval holds its ends
        (0.0, 0.004, 0.002, True, TOO_SMALL),
        (-0.002, 0.004, NAN, True, "no effect above 0.004"),
        (-0.0456, 0.004, NAN, True, "no effect above 0.046"),
        (-0.002, 0.00001234, NAN, True, "no effect above 0.002"),
        (-0.00001234, 0.0, NAN, True, "no effect above 0.000012"),
        (-0.002, 0.004, 0.0, True, "no effect above 0.004"),  # a claim of nothing is none
        (0.0, 0.0, 0.01, True, RULED_OUT),  # every score the same, but of other predictions
        (0.0, 0.0, NAN, True, "no effect above 0"),
        (NAN, NAN, 0.01, True, UNKNOWN),
    ],
)
def test_verdict_by_hand(low, high, claimed, higher_is_better, verdict):
    assert verdict_of(low, high, claimed, higher_is_better) == verdict
    assert word(verdict) in verdict and not any(map(str.isdigit, word(verdict)))


def test_interval_by_hand():
    """Differences .01, .02, .03: mean .02, sd .01, t(.975, 2) = 4.302653, half width .0248413."""
    found = compare(np.array([0.01, 0.02, 0.03]))
    assert found[:3] == pytest.approx((0.02, 0.02 - 0.0248413, 0.02 + 0.0248413), abs=1e-6)
    assert found.verdict == "no effect above 0.045" and (found.sd_seeds, found.sd_items) == (pytest.approx(0.01), 0)


def test_items_widen_the_interval_by_hand():
    """Variance .01^2 / 3 over seeds and .01^2 over items: Satterthwaite's degrees of freedom are 2 * 4^2 = 32."""
    found = compare(np.array([0.01, 0.02, 0.03]), 0.01)
    half = 2.036933 * 0.01 * np.sqrt(4 / 3)
    assert found[:3] == pytest.approx((0.02, 0.02 - half, 0.02 + half), abs=1e-6)
    assert found.p == pytest.approx(2 * stats.t.sf(0.02 / (0.01 * np.sqrt(4 / 3)), 32))
    assert found.detectable == pytest.approx(detectable(0.01, 3, 0.01))


def test_a_variance_is_shrunk_by_hand():
    """Worth 4 degrees of freedom at .02, beside 2 at .01: (4 * .0004 + 2 * .0001) / 6 = .0003."""
    noise = Noise(0.02, 4)
    assert noise.moderated(0.01, 2) == pytest.approx((np.sqrt(0.0003), 6))
    assert Noise(0.02, float("inf")).moderated(0.01, 2) == (0.02, float("inf"))
    assert Noise().moderated(0.01, 2) == (0.01, 2)
    found = compare(np.array([0.01, 0.02, 0.03]), noise=noise)
    half = 2.446912 * np.sqrt(0.0003 / 3)  # t(.975, 6)
    assert found[:3] == pytest.approx((0.02, 0.02 - half, 0.02 + half), abs=1e-6)
    assert found.sd_seeds == pytest.approx(0.01)  # as measured


def test_noise_is_found_again():
    """Variances drawn around .01^2 with ten degrees of freedom, each measured with two."""
    generator = np.random.default_rng(0)
    own = 0.01 * np.sqrt(10 / generator.chisquare(10, 4000))
    found = fitted(own * np.sqrt(generator.chisquare(2, 4000) / 2), [2] * 4000, [0.001, 0.004, 0.002])
    assert found.sd_seeds == pytest.approx(0.01, rel=0.05) and found.df == pytest.approx(10, rel=0.35)
    assert found.sd_items == 0.002


def test_noise_of_equal_variances_is_one_for_all_and_of_two_is_not_known():
    """Three sds of .01 with two degrees of freedom: log(.01^2) - digamma(1) + log(1) is the log of the variance."""
    found = fitted([0.01, 0.01, 0.01, 0.0], [2, 2, 2, 2])
    assert found.df == float("inf") and found.sd_seeds == pytest.approx(0.01 * np.exp(-special.digamma(1) / 2))
    assert fitted([0.01, 0.02, 0.0, 0.03], [2, 2, 2, 0], [0.1]) == (pytest.approx(NAN, nan_ok=True), 0.0, 0.1)


def test_where_seeds_say_little():
    alone = compare(np.array([0.1]), 0.01)
    assert alone.verdict == UNKNOWN and alone.mean == 0.1 and np.isnan([alone.low, alone.high, alone.p]).all()
    same = compare(np.zeros(3), 0.01, identical=True)
    assert same.verdict == NOT_IN_PLAY and (same.low, same.high) == (0, 0) and np.isnan([same.p, same.detectable]).all()
    assert compare(np.zeros(1), identical=True).verdict == NOT_IN_PLAY
    agreed = compare(np.array([0.25, 0.25]))
    assert (agreed.p, agreed.verdict, agreed.low) == (0.0, HELPS, 0.25) and np.isnan(agreed.detectable)
    assert compare(np.zeros(2)).p == 1.0
    with pytest.raises(ValueError, match="at least one seed"):
        compare(np.zeros(0))


def test_p_belongs_to_the_interval_that_decides():
    """Moved by its lower end the interval touches zero: p is one in twenty there."""
    difference = np.array([0.01, 0.02, 0.04])
    low = compare(difference, 0.003, noise=Noise(0.02, 3)).low
    assert compare(difference - low, 0.003, noise=Noise(0.02, 3)).p == pytest.approx(0.05)


def test_holm_by_hand_stops_at_one_and_takes_nothing():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.6]) == pytest.approx([1.0, 1.0])
    assert holm([]).shape == (0,)


@pytest.mark.parametrize(("seeds", "factor"), [(3, 3.26), (5, 1.68), (8, 1.16), (16, 0.75)])
def test_what_could_be_seen_in_units_of_the_sd(seeds, factor):
    """Factors from a simulation of the paired t-test."""
    assert detectable(1.0, seeds) == pytest.approx(factor, abs=0.005)


def test_what_could_be_seen_grows_with_noise_only():
    assert np.isnan(detectable(0.01, 1)) and detectable(0.01, 1, df=6) > detectable(0.01, 3, df=6)
    assert detectable(0.0, 3, 0.01) == pytest.approx((1.959964 + 0.841621) * 0.01, rel=1e-3)
    assert detectable(0.01, 5, 0.01) > detectable(0.01, 5, 0.005) > detectable(0.01, 5)


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


def trained(generator: np.random.Generator, pairs: np.ndarray, truth: np.ndarray, seeds: int, **sd: float):
    """Scores [n] and influences [n, P] of an arm that errs about videos: the same way with all seeds, and each in its own."""
    videos = int(pairs.max()) + 1
    shared = sd["shared"] * generator.normal(size=videos)
    found = []
    for _ in range(seeds):
        errors = (shared + sd["own"] * generator.normal(size=videos))[pairs].sum(axis=1)
        noise = sd["pair"] * np.exp(sd["seed"] * generator.normal()) * generator.normal(size=len(pairs))
        found.append((spearman(truth + errors + noise, truth), spearman_influence(truth + errors + noise, truth)))
    return (np.array(part) for part in zip(*found, strict=True))


@pytest.mark.parametrize(
    ("seeds", "shared", "own", "pair", "seed"),
    [(3, 0.6, 0.3, 1.0, 0.05), (3, 0.0, 0.5, 1.0, 0.1), (5, 0.6, 0.0, 0.3, 0.0)],
)
def test_intervals_cover_as_often_as_they_say(seeds, shared, own, pair, seed):
    """Two arms of one kind, so the true difference is zero: 95 % of the intervals hold it, whichever noise is the larger."""
    generator, found = np.random.default_rng(seeds), []
    for _ in range(300):
        pairs = generator.integers(0, 300, (250, 2))
        pairs = pairs[pairs[:, 0] != pairs[:, 1]]
        truth = (generator.normal(size=(300, 3))[pairs]).prod(axis=1).sum(axis=1)
        arms = [trained(generator, pairs, truth, seeds, shared=shared, own=own, pair=pair, seed=seed) for _ in "ab"]
        (arm, of_arm), (reference, of_reference) = arms
        found.append((arm - reference, np.sqrt(shared_variance(of_arm - of_reference, pairs))))
    noise = fitted([np.std(difference, ddof=1) for difference, _ in found], [seeds - 1] * len(found))
    results = [compare(difference, sd_items, noise=noise) for difference, sd_items in found]
    inside = np.mean([result.low <= 0 <= result.high for result in results])
    assert 0.92 <= inside <= 0.98
    if not seed:  # seeds that agree say nothing of other items: what this interval replaced
        alone = [compare(difference) for difference, _ in found]
        assert np.mean([result.low <= 0 <= result.high for result in alone]) < 0.8


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
