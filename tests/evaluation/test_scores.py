"""The competitions' metrics, comparisons, ensembles and submissions."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from lab.corpora.twin.random import facts
from lib.data.vocabulary import WECHAT_CATEGORIES, CategoryTree
from lib.evaluation import compare as comparing
from lib.evaluation.ensemble import ConcatSvd, MeanEmbedding, WeightedLogits, concat
from lib.evaluation.intervals import interval_of_mean_f1, interval_of_spearman
from lib.evaluation.metrics import mean_f1, spearman
from tests.golden_rule import draw, draw_uniform, load_case

LEVEL1 = CategoryTree(WECHAT_CATEGORIES).level1_of_level2


def published_truth():
    counts = list(facts("wechat2022")["class_counts"].values())
    return np.repeat(np.arange(200), counts)


def test_golden_metric():
    case = load_case("wechat/metric")
    ours = mean_f1(case.array("in/label"), case.array("in/prediction"), case.array("out/level1_of_level2"))
    for name in ("mean_f1", "lv1_f1_micro", "lv1_f1_macro", "lv2_f1_micro", "lv2_f1_macro"):
        assert name not in ours or ours[name] == pytest.approx(float(case.array(f"out/{name}")), abs=1e-6)
    assert set(ours) >= {"mean_f1", "lv1_f1_macro", "lv2_f1_macro"}


def test_15_metric_1_taxonomy():
    assert len(WECHAT_CATEGORIES) == 200 and sum(facts("wechat2022")["class_counts"].values()) == 100_000
    assert (
        (np.diff(LEVEL1) >= 0).all()
        and LEVEL1.max() == 22
        and list(facts("wechat2022")["class_counts"]) == list(WECHAT_CATEGORIES)
    )


def test_15_metric_2_constant_and_oracle_predictions():
    """WeChat specification, section 15: constant 1305 scores 0.0655532, level 1 with its most frequent child 0.6407764."""
    truth = published_truth()
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


def test_15_metric_4_a_class_absent_on_both_sides_is_skipped():
    truth, predicted = np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1])
    # class 0: precision 1, recall 1/2, F1 2/3; class 1: precision 2/3, recall 1, F1 4/5
    assert mean_f1(truth, predicted, LEVEL1)["lv2_f1_macro"] == pytest.approx((2 / 3 + 4 / 5) / 2)


def test_spearman_with_ties():
    a, b = np.array([1, 2, 2, 4.0]), np.array([1, 3, 2, 4.0])
    assert spearman(a, b) == pytest.approx(0.9486833) and spearman(np.ones(4), b) == 0.0  # ranks 1, 2.5, 2.5, 4


def test_paired_comparison_by_hand():
    """Differences .01, .02, .03: mean .02, sd .01, t(.975, 2) = 4.302653, half width .0248416."""
    result = comparing.compare(np.array([0.51, 0.62, 0.73]), np.array([0.5, 0.6, 0.7]))
    assert result[:3] == pytest.approx((0.02, 0.02 - 0.0248413, 0.02 + 0.0248413), abs=1e-5)
    assert result.verdict == "no measurable effect"


def test_verdicts():
    up, base = np.array([0.7, 0.71, 0.72]), np.array([0.6, 0.61, 0.62])
    assert comparing.compare(up, base).verdict == "helps" and comparing.compare(base, up).verdict == "hurts"
    assert comparing.compare(up, base, higher_is_better=False).verdict == "hurts"
    assert comparing.compare(up[:1], base[:1]).verdict == "one seed: no interval"
    assert comparing.compare(base, base).verdict == "no measurable effect"
    with pytest.raises(ValueError, match="the same seeds"):
        comparing.compare(up, base[:2])


def test_a_placebo_rarely_has_an_effect():
    rng = np.random.default_rng(0)
    verdicts = [comparing.compare(rng.normal(0, 0.01, 3), rng.normal(0, 0.01, 3)).verdict for _ in range(1000)]
    assert 930 <= verdicts.count("no measurable effect") <= 970


def test_holm_and_detectable():
    assert comparing.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert comparing.detectable(0.01, 3) == pytest.approx((4.302653 + 1.060660) * 0.01 / 3**0.5, abs=1e-6)


def test_intervals_hold_the_score_and_are_the_same_twice():
    rng = np.random.default_rng(1)
    truth = rng.random(400)
    predicted = truth + rng.normal(0, 0.3, 400)
    pairs = np.stack([rng.integers(0, 150, 400), rng.integers(150, 400, 400)], axis=1)
    low, high = interval_of_spearman(predicted, truth, pairs)
    assert low < spearman(predicted, truth) < high and high - low < 0.25
    assert (low, high) == interval_of_spearman(predicted, truth, pairs)
    classes = rng.integers(0, 5, 200)
    guess = np.where(rng.random(200) < 0.7, classes, rng.integers(0, 5, 200))
    low, high = interval_of_mean_f1(classes, guess, LEVEL1)
    assert low < mean_f1(classes, guess, LEVEL1)["mean_f1"] < high


def test_golden_concat_svd():
    """AIAC rank 1's ensemble on the recorded inputs."""
    case = load_case("r1/ensemble")
    latent = draw_uniform("r1/ensemble/latent", (300, 12)) - 0.5
    members = [
        np.float16(
            latent @ draw(f"r1/ensemble/mix/job{job}", (12, 256))
            + draw(f"r1/ensemble/noise/job{job}", (300, 256), std=0.25)
        ).astype(np.float64)
        for job in range(1, 7)
    ]
    joined, pairs = concat(members), case.array("in/pairs")
    assert np.linalg.norm(joined, axis=1) == pytest.approx(np.ones(300))
    assert (joined[pairs[:, 0]] * joined[pairs[:, 1]]).sum(1) == pytest.approx(
        case.array("out/cosine_concat"), abs=1e-5
    )
    z = ConcatSvd(dim=256)(members)
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    assert (z[pairs[:, 0]] * z[pairs[:, 1]]).sum(1) == pytest.approx(case.array("out/cosine_svd"), abs=1e-4)


def test_aiac_10_r1_1_identical_members_keep_their_cosines():
    """AIAC specification 10, R1-1."""
    unit = np.random.default_rng(0).standard_normal((300, 32))
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    z = ConcatSvd(dim=32)([unit] * 6)
    assert (z @ z.T) == pytest.approx(unit @ unit.T, abs=1e-6)


def test_other_ensembles():
    a, b = np.log([[0.8, 0.2]]), np.log([[0.4, 0.6]])
    assert np.exp(WeightedLogits()([a, b])) == pytest.approx(np.array([[0.6, 0.4]]))
    assert np.exp(WeightedLogits(weights=[3.0, 1.0])([a, b])) == pytest.approx(np.array([[0.7, 0.3]]))
    assert MeanEmbedding()([np.array([[2.0, 0.0]]), np.array([[0.0, 5.0]])]) == pytest.approx(np.array([[0.5, 0.5]]))
    with pytest.raises(ValueError, match="ConcatSvd"):
        MeanEmbedding()([np.ones((1, 2)), np.ones((1, 3))])


def test_spearman_is_scipys():
    rng = np.random.default_rng(2)
    a, b = rng.integers(0, 9, 200), rng.integers(0, 9, 200)
    assert spearman(a, b) == pytest.approx(spearmanr(a, b).statistic)
