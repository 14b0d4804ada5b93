"""Rules of pseudo labels against plain loops, recorded neighbours and the counts of the real corpus."""

import numpy as np
import pytest
from scipy.special import softmax

from lab.corpora.twin.random import facts
from lib.data.items import fill, tail
from lib.evaluation import Confident, EverySoft, FillRare, NeighbourVote
from lib.evaluation.pseudo import Said, nearest
from lib.features.loader import PseudoLabels
from tests.golden_rule import load_case

SAID = Said(
    np.array([[0.9, 0.1, 0.0], [0.5, 0.3, 0.2], [0.05, 0.05, 0.9], [0.1, 0.85, 0.05], [0.2, 0.79, 0.01]], np.float32)
)


def test_confident_and_soft():
    given = Confident(threshold=0.85)(SAID)
    assert given.category.tolist() == [0, -1, 2, 1, -1]
    np.testing.assert_allclose(given.confidence, [0.9, 0.5, 0.9, 0.85, 0.79], rtol=1e-6)
    assert EverySoft()(SAID).category.tolist() == [0, 0, 2, 1, 1]


def test_fill_rare_takes_the_surest_of_what_each_category_lacks():
    rule = FillRare(class_counts=[9, 8, 20], up_to=10, cap=1, confidence=0.5)
    assert rule.wanted().tolist() == [1, 1, 0]
    assert rule(SAID).category.tolist() == [0, -1, -1, 1, -1]
    for confidence, given in ((0.5, [0, -1, -1, 1, 1]), (0.8, [0, -1, -1, 1, -1])):
        rule = FillRare(class_counts=[9, 8, 20], up_to=10, cap=5, confidence=confidence)
        assert rule(SAID).category.tolist() == given


def test_votes_of_recorded_neighbours():
    """golden/topsix/faiss: neighbours, cosines, votes, winners and confidence."""
    case = load_case("topsix/faiss/vote")
    base, query, label = (case.array(f"in/{name}") for name in ("base", "query", "label"))
    near, cosines = nearest(query, base, 10)
    assert np.array_equal(near, case.array("out/neighbour"))
    np.testing.assert_allclose(cosines, case.array("out/similarity"), atol=1e-6)
    said = Said(np.zeros((len(query), 6), np.float32), query, base, label.astype(np.int64))
    given = NeighbourVote(confidence=0.0)(said)
    assert np.array_equal(given.category, case.array("out/winner"))
    np.testing.assert_allclose(given.confidence, case.array("out/confidence"), atol=1e-6)
    sure = NeighbourVote(confidence=0.4)(said)
    assert np.array_equal(sure.category >= 0, case.array("out/confidence") >= 0.4 - 1e-6)
    assert 0 < (sure.category >= 0).sum() < len(query)


def vote(cosines, labels, **options):
    """One query whose cosines with the known videos are given."""
    known = np.array([[c, (1 - c * c) ** 0.5] for c in cosines], np.float32)
    said = Said(np.zeros((1, 3), np.float32), np.array([[2.0, 0.0]], np.float32), known, np.array(labels))
    given = NeighbourVote(confidence=0.0, **options)(said)
    return int(given.category[0]), float(given.confidence[0])


def test_ties_go_to_the_larger_sum_then_to_the_smaller_number():
    assert vote([0.9, 0.8, 0.7, 0.6], [2, 1, 2, 1], neighbours=4) == (2, 0.5)
    assert vote([0.9, 0.6, 0.8, 0.8], [2, 2, 1, 1], neighbours=4) == (1, 0.5)
    assert vote([0.5, 0.5], [2, 1], neighbours=2) == (1, 0.5)
    assert vote([0.9, 0.1, 0.0], [0, 1, 1], neighbours=1) == (0, 1.0)


def test_the_labelled_set_votes_for_itself():
    """System 3-6: with k = 1 every row gets its own label."""
    generator = np.random.default_rng(0)
    vectors, labels = generator.standard_normal((50, 6)).astype(np.float32), generator.integers(0, 5, 50)
    given = NeighbourVote(neighbours=1)(Said(np.zeros((50, 5), np.float32), vectors, vectors, labels))
    assert np.array_equal(given.category, labels) and (given.confidence == 1).all()


def test_soft_labels_are_looked_up_by_row():
    table = PseudoLabels(
        np.array([3, 5, 9]), np.array([0, 1, 1]), np.array([[1, 0], [0.25, 0.75], [0.5, 0.5]], np.float16)
    )
    np.testing.assert_allclose(np.exp(table.logits(np.array([9, 5]))), [[0.5, 0.5], [0.25, 0.75]], rtol=1e-3)
    halves = np.random.default_rng(0).dirichlet(np.full(200, 0.1), 50).astype(np.float16)
    said = softmax(PseudoLabels(np.arange(50), np.zeros(50, int), halves).logits(np.arange(50)), axis=1)
    assert abs(halves.sum(axis=1, dtype=np.float32) - 1).max() > 1e-5 > 10 * abs(said.sum(axis=1) - 1).max()
    np.testing.assert_allclose(said, halves, atol=1e-3)
    with pytest.raises(ValueError, match="without soft label"):
        table.logits(np.array([4]))
    assert PseudoLabels(table.rows, table.category).logits(np.array([3])) is None


def test_fill_to_200_on_a_long_tail():
    """System 6-3: every category has at least so many, every video is there, none of a larger category is repeated."""
    labels = np.repeat([0, 1, 2, 4], [3, 250, 199, 1])
    places = fill(labels, 200, seed=1)
    counts = np.bincount(labels[places], minlength=5)
    assert counts.tolist() == [200, 250, 200, 0, 200] and np.array_equal(places[: len(labels)], np.arange(len(labels)))
    assert np.array_equal(places, fill(labels, 200, seed=1)) and not np.array_equal(places, fill(labels, 200, seed=2))
    assert np.array_equal(fill(labels, 0, 1), np.arange(len(labels)))


def test_what_the_published_counts_ask_for():
    """Systems 5-5, 6-3 and 6-4: 68 rare categories with 3,729 videos; 12,373 drawn, 112,373 in all; 139,529 pseudo labels."""
    counts = np.array(list(facts("wechat2022")["class_counts"].values()))
    labels = np.repeat(np.arange(200), counts)
    filled = fill(labels, 200, seed=0)
    assert len(filled) == 112_373 and np.bincount(labels[filled]).min() == 200
    rare = tail(labels, counts, 100, seed=0)
    assert (counts < 100).sum() == 68 and len(rare) == 2 * 3_729 and (counts[labels[rare]] < 100).sum() == 3_729
    wanted = FillRare(class_counts=counts).wanted()
    assert wanted.sum() == 139_529 and (wanted > 0).sum() == 183
