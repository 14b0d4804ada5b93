"""Both scores: the specification's invariants, and edges by hand."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from lab.corpora.twin.random import facts
from lib.data.schema import WECHAT_CATEGORIES, CategoryTree
from lib.evaluation.metrics import mean_f1, mean_f1_both_ways, spearman
from tests.golden_rule import load_case

LEVEL1 = CategoryTree(WECHAT_CATEGORIES).level1_of_level2
COUNTS = facts("wechat2022")["class_counts"]


def test_golden_taxonomy_and_accuracies():
    case = load_case("wechat/metric")
    assert np.array_equal(LEVEL1, case.array("out/level1_of_level2"))
    assert list(WECHAT_CATEGORIES) == case.settings["category_ids"]
    ours = mean_f1(case.array("in/label"), case.array("in/prediction"), LEVEL1)
    for name in ("mean_f1", "lv1_f1_macro", "lv2_f1_macro"):
        assert ours[name] == pytest.approx(float(case.array(f"out/{name}")), abs=1e-6)
    assert set(ours) == {"mean_f1", "lv1_f1_micro", "lv1_f1_macro", "lv2_f1_micro", "lv2_f1_macro"}
    for level in ("lv1", "lv2"):
        assert ours[f"{level}_f1_micro"] == pytest.approx(float(case.array(f"out/{level}_acc")), abs=1e-12)


def test_15_metric_1_taxonomy():
    assert len(WECHAT_CATEGORIES) == 200 and sum(COUNTS.values()) == 100_000
    assert (np.diff(LEVEL1) >= 0).all() and LEVEL1.max() == 22 and list(COUNTS) == list(WECHAT_CATEGORIES)


def test_15_metric_2_constant_and_oracle_predictions():
    """WeChat specification, section 15: constant 1305 scores 0.0655532, level 1 with its most frequent child 0.6407764."""
    truth = np.repeat(np.arange(200), list(COUNTS.values()))
    counts = np.bincount(truth)
    constant = np.full(len(truth), WECHAT_CATEGORIES.index("1305"))
    child = np.array([np.flatnonzero(g == LEVEL1)[counts[g == LEVEL1].argmax()] for g in range(23)])
    assert mean_f1(truth, constant, LEVEL1)["mean_f1"] == pytest.approx(0.0655532, abs=1e-6)
    assert mean_f1(truth, child[LEVEL1[truth]], LEVEL1)["mean_f1"] == pytest.approx(0.6407764, abs=1e-6)
    assert mean_f1(truth, truth, LEVEL1)["mean_f1"] == 1.0


def test_15_metric_3_order_does_not_matter_and_micro_is_accuracy():
    rng = np.random.default_rng(0)
    truth, predicted, order = rng.integers(0, 200, 300), rng.integers(0, 200, 300), rng.permutation(300)
    a, b = mean_f1(truth, predicted, LEVEL1), mean_f1(truth[order], predicted[order], LEVEL1)
    assert a == pytest.approx(b) and a["lv2_f1_micro"] == pytest.approx((truth == predicted).mean())


def test_15_metric_4_class_absent_on_both_sides_changes_nothing():
    """The same videos as classes 0 and 1, and as classes 1 and 3 of a tree with others around them."""
    narrow = mean_f1(np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1]), np.array([0, 1]))
    wide = mean_f1(np.array([1, 1, 3, 3]), np.array([1, 3, 3, 3]), np.array([0, 1, 1, 2, 3]))
    assert narrow == wide
    # class 0 has 2*1/(2+1), class 1 has 2*2/(2+3); accuracy 3/4; both levels alike
    assert narrow["mean_f1"] == pytest.approx((0.75 + (2 / 3 + 4 / 5) / 2) / 2)


def test_class_that_is_only_predicted_counts_as_zero():
    """Truth all 0, one of four said to be 1: F1 of 0 is 2*3/(4+3), of 1 it is 0."""
    assert mean_f1(np.zeros(4, int), np.array([0, 0, 0, 1]), np.arange(2))["lv2_f1_macro"] == pytest.approx(3 / 7)


def test_all_labels_count_absent_classes_as_zero():
    """Four classes under two: truth 0 0 1, said 0 1 1. F1 2/3 2/3, classes 2 and 3 are on neither side; level 1 is right
    but its second class absent."""
    tree = np.array([0, 0, 1, 1])
    scores = mean_f1_both_ways(np.array([0, 0, 1]), np.array([0, 1, 1]), tree)
    assert scores["lv2_f1_macro"] == pytest.approx(2 / 3) and scores["lv1_f1_macro"] == 1
    assert scores["lv2_f1_macro_all_classes"] == pytest.approx(1 / 3) and scores["lv1_f1_macro_all_classes"] == 0.5
    assert scores["mean_f1_all_classes"] == pytest.approx((2 / 3 + 1 / 3 + 1 + 0.5) / 4)
    every = mean_f1(np.array([0, 0, 1]), np.array([0, 1, 1]), tree, "all")
    assert every["lv2_f1_micro"] == pytest.approx(2 / 3), "micro F1 stays the accuracy"


def test_spearman_with_ties_is_scipys():
    a, b = np.array([1, 2, 2, 4.0]), np.array([1, 3, 2, 4.0])
    assert spearman(a, b) == pytest.approx(0.9486833)  # ranks 1, 2.5, 2.5, 4
    assert spearman(np.ones(4), b) == spearman(b, np.ones(4)) == 0.0
    x, y = np.random.default_rng(2).integers(0, 9, (2, 200))
    assert spearman(x, y) == pytest.approx(spearmanr(x, y).statistic)
