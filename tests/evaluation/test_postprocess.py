"""Corrections of logits after training, by hand and over the published class counts."""

import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from lab.corpora.twin.random import facts
from lib.evaluation import CountRescaling, LogitAdjustment, TailExpert

COUNTS = np.array(list(facts("wechat2022")["class_counts"].values()))
LOGITS = np.random.default_rng(0).normal(0, 2, (300, 200)).astype(np.float32)


def test_section_15_system_7_4_rescaling_of_the_published_counts():
    weight = np.exp(CountRescaling(COUNTS).gain)
    assert (weight.min(), weight.max()) == (pytest.approx(1.00093844, abs=1e-8), pytest.approx(1.71428571, abs=1e-8))
    assert weight.mean() == pytest.approx(1.0984137, abs=1e-7)
    order = np.argsort(COUNTS, kind="stable")
    steps, grows = np.diff(weight[order]), np.diff(COUNTS[order]) > 0
    assert (steps[grows] < 0).all() and np.allclose(steps[~grows], 0)
    assert ((softmax(LOGITS, axis=1) * weight).sum(axis=1) >= 1).all()
    before, after = LOGITS.argmax(axis=1), CountRescaling(COUNTS)(LOGITS).argmax(axis=1)
    changed = before != after
    assert changed.any() and (COUNTS[after[changed]] < COUNTS[before[changed]]).all()


def test_section_10_6_examples():
    gain = CountRescaling([14, 50, 100, 500, 10656]).gain
    assert np.exp(gain).tolist() == pytest.approx([1.714, 1.2, 1.1, 1.02, 1.0009], abs=5e-4)


def test_rescaled_logits_are_rescaled_probabilities():
    weight = 1 + 10 / COUNTS
    expected = softmax(LOGITS.astype(float), axis=1) * weight
    ours = softmax(CountRescaling(COUNTS)(LOGITS.astype(float)), axis=1)
    np.testing.assert_allclose(ours, expected / expected.sum(axis=1, keepdims=True), rtol=1e-12)


def test_adjustment_by_hand():
    """Probabilities divided by shares 0.75 and 0.25: 0.6 and 0.4 become 0.8 and 1.6, one third and two thirds."""
    logits = np.log([[0.6, 0.4]])
    assert softmax(LogitAdjustment([3, 1])(logits), axis=1)[0].tolist() == pytest.approx([1 / 3, 2 / 3])


def test_adjusting_in_training_and_after_it_are_opposites():
    """A model that learned with adjusted logits z + tau log p would, adjusted the other way, give z again."""
    from lib.objectives.category import log_shares

    trained = LOGITS + 0.5 * log_shares(COUNTS).numpy()
    np.testing.assert_allclose(LogitAdjustment(COUNTS, tau=0.5)(trained), LOGITS, atol=1e-5)


@pytest.mark.parametrize("neutral", [CountRescaling(COUNTS, strength=0.0), LogitAdjustment(COUNTS, tau=0.0)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_neutral_settings_change_no_bit(neutral, dtype):
    logits = LOGITS.astype(dtype)
    after = neutral(logits)
    assert after.dtype == dtype and np.array_equal(after, logits)


@pytest.mark.parametrize("step", [CountRescaling, LogitAdjustment])
def test_a_category_that_was_never_seen_counts_once(step):
    assert np.array_equal(step([0, 5])(np.zeros((1, 2))), step([1, 5])(np.zeros((1, 2))))
    assert np.isfinite(log_softmax(step([0, 5])(np.zeros((1, 2))), axis=1)).all()


def test_tail_expert():
    """System 5-4: probabilities sum to one; share 0 changes nothing; an expert that is sure of others leaves their order; by
    hand."""
    generator = np.random.default_rng(0)
    counts = np.array([500, 90, 100, 3])
    own, expert = generator.standard_normal((2, 30, 4)).astype(np.float32)
    mixed = np.exp(TailExpert(counts)(own, expert))
    np.testing.assert_allclose(mixed.sum(axis=1), 1, rtol=1e-5)
    p, e = (np.exp(x) / np.exp(x).sum(axis=1, keepdims=True) for x in (own, expert))
    np.testing.assert_allclose(mixed[:, [1, 3]], (p[:, [1, 3]] + e[:, [1, 3]]) / 2, rtol=1e-5)
    other, head = (x[:, [0, 2]].sum(axis=1, keepdims=True) for x in (e, p))
    np.testing.assert_allclose(mixed[:, [0, 2]], (1 + other / head) * p[:, [0, 2]] / 2, rtol=1e-5)
    np.testing.assert_allclose(np.exp(TailExpert(counts, share=0.0)(own, expert)), p, rtol=1e-5)
    sure = np.where(counts >= 100, expert, -50.0)
    assert (TailExpert(counts)(own, sure)[:, [0, 2]].argmax(axis=1) == own[:, [0, 2]].argmax(axis=1)).all()
