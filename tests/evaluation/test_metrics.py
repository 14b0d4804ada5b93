"""Both scores: recorded values of the official script, published invariants, scikit-learn, and sums by hand."""

import json
import time
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import f1_score

from lib.data import twin
from lib.data.vocabulary import WECHAT_CATEGORIES, CategoryTree
from lib.evaluation.metrics import mean_f1, spearman
from tests.golden_rule import load_case

LEVEL1 = CategoryTree(WECHAT_CATEGORIES).level1_of_level2


@pytest.fixture(scope="module")
def published() -> np.ndarray:
    """Class of each of the 100,000 labelled videos, from the published class counts."""
    facts = json.loads((Path(twin.__file__).parent / "facts.json").read_text(encoding="utf-8"))
    counts = facts["wechat2022"]["class_counts"]["value"]
    return np.repeat(np.arange(200), [counts.get(name, 0) for name in WECHAT_CATEGORIES])


def test_golden_official_evaluate():
    case = load_case("wechat/metric")
    assert np.array_equal(LEVEL1, case.array("out/level1_of_level2"))
    assert list(WECHAT_CATEGORIES) == case.settings["category_ids"]
    ours = mean_f1(case.array("in/label"), case.array("in/prediction"), LEVEL1)
    assert set(ours) == {"mean_f1", "lv1_f1_micro", "lv1_f1_macro", "lv2_f1_micro", "lv2_f1_macro"}
    for name, value in ours.items():
        assert value == pytest.approx(float(case.array(f"out/{name}")), abs=1e-12)
    assert ours["lv2_f1_micro"] == pytest.approx(float(case.array("out/lv2_acc")), abs=1e-12)


def test_15_metric_1_taxonomy(published):
    children = [sum(name.startswith(f"{first:02d}") for name in WECHAT_CATEGORIES) for first in range(23)]
    assert sum(children) == 200 and len(published) == 100_000
    rebuilt = [f"{first:02d}{child:02d}" for first, count in enumerate(children) for child in range(count)]
    assert list(WECHAT_CATEGORIES) == rebuilt
    assert (np.diff(LEVEL1) >= 0).all() and LEVEL1.tolist() == [int(name[:2]) for name in WECHAT_CATEGORIES]


def test_15_metric_2_published_answers(published):
    """Section 15, metric 2: one class for all, the true level 1 with its most frequent child, and no error at all."""
    constant = np.full_like(published, WECHAT_CATEGORIES.index("1305"))
    assert mean_f1(published, constant, LEVEL1)["mean_f1"] == pytest.approx(0.0655532, abs=5e-8)
    counts = np.bincount(published, minlength=200)
    favourite = np.array([max(np.flatnonzero(first == LEVEL1), key=counts.__getitem__) for first in range(23)])
    assert mean_f1(published, favourite[LEVEL1[published]], LEVEL1)["mean_f1"] == pytest.approx(0.6407764, abs=5e-8)
    assert set(mean_f1(published, published, LEVEL1).values()) == {1.0}


def test_15_metric_3_order_does_not_matter_and_micro_is_accuracy(published):
    generator = np.random.default_rng(0)
    truth = generator.choice(published, 2000)
    predicted = np.where(generator.random(2000) < 0.6, truth, generator.integers(0, 200, 2000))
    scores, order = mean_f1(truth, predicted, LEVEL1), generator.permutation(2000)
    assert mean_f1(truth[order], predicted[order], LEVEL1) == scores
    assert scores["lv2_f1_micro"] == np.mean(truth == predicted)
    assert scores["lv1_f1_micro"] == np.mean(LEVEL1[truth] == LEVEL1[predicted])


def test_15_metric_4_class_absent_on_both_sides_changes_nothing():
    """The same videos with classes 1 and 3 of a tree where nothing else lies between them."""
    narrow = mean_f1(np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1]), np.array([0, 1]))
    wide = mean_f1(np.array([1, 1, 3, 3]), np.array([1, 3, 3, 3]), np.array([0, 1, 1, 2, 3]))
    assert narrow == wide
    # by hand: class 0 has 2*1/(2+1), class 1 has 2*2/(2+3); accuracy 3/4; both levels alike
    assert narrow["lv2_f1_macro"] == pytest.approx((2 / 3 + 4 / 5) / 2)
    assert narrow["mean_f1"] == pytest.approx((0.75 + (2 / 3 + 4 / 5) / 2) / 2)


def test_class_that_is_only_predicted_counts_as_zero():
    """Truth all 0, one of four said to be 1: F1 of 0 is 2*3/(4+3), of 1 it is 0."""
    assert mean_f1(np.zeros(4, int), np.array([0, 0, 0, 1]), np.arange(2))["lv2_f1_macro"] == pytest.approx(3 / 7)


@pytest.mark.parametrize("seed", range(5))
def test_same_as_scikit_learn(seed):
    generator = np.random.default_rng(seed)
    truth, predicted = generator.integers(0, 200, (2, 150))
    predicted = np.where(generator.random(150) < 0.4, truth, predicted)
    ours = mean_f1(truth, predicted, LEVEL1)
    for level, t, p in (("lv2", truth, predicted), ("lv1", LEVEL1[truth], LEVEL1[predicted])):
        for average in ("micro", "macro"):
            theirs = f1_score(t, p, average=average, zero_division=0.0)
            assert ours[f"{level}_f1_{average}"] == pytest.approx(theirs, abs=1e-12)


def test_quick_enough_for_bootstraps():
    truth, predicted = np.random.default_rng(0).integers(0, 200, (2, 600))
    started = time.perf_counter()
    for _ in range(100):
        mean_f1(truth, predicted, LEVEL1)
    assert (time.perf_counter() - started) / 100 < 2e-3  # measured: 0.06 ms


def test_spearman_by_hand():
    """Without ties 1 - 6 sum d^2 / (n (n^2 - 1)): d = 0 1 1 0, so 1 - 12/60."""
    assert spearman(np.array([0.1, 0.2, 0.3, 0.4]), np.array([1.0, 3.0, 2.0, 4.0])) == pytest.approx(0.8)
    assert spearman(np.array([1.0, 2.0, 3.0]), np.array([9.0, 5.0, 1.0])) == pytest.approx(-1.0)


def test_spearman_gives_ties_their_average_rank():
    """Ranks 1 2.5 2.5 4 against 1 2 3 4: covariance 4.5, squares 4.5 and 5, so 4.5 / sqrt(22.5)."""
    assert spearman(np.array([1.0, 2.0, 2.0, 7.0]), np.arange(4.0)) == pytest.approx(4.5 / 22.5**0.5)


def test_spearman_sees_order_only_and_calls_a_constant_zero():
    x, y = np.random.default_rng(0).normal(size=(2, 50))
    assert spearman(np.exp(x), y**3) == pytest.approx(spearman(x, y), abs=1e-12)
    assert spearman(np.ones(5), np.arange(5.0)) == 0.0 == spearman(np.arange(5.0), np.ones(5))
