"""Fits on scored pairs: no pair is judged by a fit that saw it, weights by hand, memorisers gain nothing."""

import numpy as np
import pytest

from lib.evaluation.ensemble import Concat, CosineWeights, crossfit, pair_folds
from lib.evaluation.metrics import spearman
from lib.evaluation.vectors import cosines


def test_folds_are_of_components_where_they_can_be():
    """Six chains of three videos: no video in two folds."""
    pairs = np.array([[3 * c + s, 3 * c + s + 1] for c in range(6) for s in (0, 1)])
    folds = pair_folds(pairs, k=3)
    assert folds.grouped_by == "components of videos" and np.bincount(folds.of).tolist() == [4, 4, 4]
    for fold in range(3):
        assert not np.intersect1d(pairs[folds.of == fold], pairs[folds.of != fold]).size


def test_one_large_component_is_cut_by_first_videos():
    pairs = np.array([[video, video + 1] for video in range(10) for _ in range(2)])
    folds = pair_folds(pairs, k=5)
    assert folds.grouped_by == "first videos" and np.bincount(folds.of).tolist() == [4] * 5
    for fold in range(5):
        assert not np.intersect1d(pairs[folds.of == fold, 0], pairs[folds.of != fold, 0]).size


def test_folds_need_two_first_videos_and_shrink_to_what_there_is():
    assert len(np.unique(pair_folds(np.array([[0, 1], [2, 3], [4, 5]])).of)) == 3
    with pytest.raises(ValueError, match="fewer than two first videos"):
        pair_folds(np.array([[0, 1], [0, 2]]))


def test_every_pair_is_judged_by_a_fit_that_did_not_see_it():
    pairs = np.stack([np.arange(20), np.arange(20) + 20], axis=1)
    scores, folds, seen = np.arange(20.0), np.arange(20) % 4, []

    def make(given, told):
        assert np.array_equal(told, given[:, 0])
        seen.append(set(told))
        return lambda members: members[0] * np.array([1.0, len(seen)])

    members = [np.random.default_rng(0).normal(size=(40, 2))]
    found = crossfit(make, members, pairs, scores, folds)
    for fold in range(4):
        assert seen[fold] == set(scores[folds != fold])
        expected = cosines(members[0] * np.array([1.0, fold + 1]), pairs[folds == fold])
        assert found[folds == fold] == pytest.approx(expected)


def test_scores_of_chance_stay_chance_when_they_are_cross_fitted():
    """Thirty members of noise: fitted on the pairs themselves they rank them well, cross-fitted not at all."""
    rng = np.random.default_rng(0)
    members, scores = [rng.normal(size=(160, 4)) for _ in range(30)], rng.random(80)
    pairs = np.stack([np.arange(80), np.arange(80) + 80], axis=1)
    make = lambda pairs, scores: CosineWeights(pairs=pairs, scores=scores)  # noqa: E731
    inside = spearman(cosines(make(pairs, scores)(members), pairs), scores)
    outside = spearman(crossfit(make, members, pairs, scores, pair_folds(pairs).of), scores)
    assert inside > 0.3 and abs(outside) < 0.2


PAIRS = np.array([[0, 1], [2, 3], [4, 5]])


def plane(cosine):
    """Three pairs of plane vectors with these cosines."""
    return np.stack([v for c in cosine for v in ([2.0, 0.0], [3 * c, 3 * np.sqrt(1 - c * c)])])


def test_cosine_weights_by_hand():
    """Scores = 3 a + 1 b + 0.5: weights 0.75 and 0.25, whatever the constant; their cosine is the weighted mean."""
    a, b = np.array([0.1, 0.5, 0.9]), np.array([0.4, -0.2, 0.3])
    members = [plane(a), plane(b)]
    learned = CosineWeights(pairs=PAIRS, scores=3 * a + b + 0.5)
    assert learned.weights(members) == pytest.approx([0.75, 0.25])
    joined = learned(members)
    assert np.linalg.norm(joined, axis=1) == pytest.approx(np.ones(6))
    assert cosines(joined, PAIRS) == pytest.approx(0.75 * a + 0.25 * b)
    assert joined == pytest.approx(Concat(weights=[3, 1])(members))


def test_cosine_weights_are_never_negative_and_equal_where_nothing_helps():
    a, b = np.array([0.1, 0.5, 0.9]), np.array([0.9, 0.5, 0.1])
    members = [plane(a), plane(b)]
    assert CosineWeights(pairs=PAIRS, scores=a).weights(members) == pytest.approx([1, 0])
    assert CosineWeights(pairs=PAIRS, scores=-a).weights([members[0]] * 2) == pytest.approx([0.5, 0.5])
    with pytest.raises(ValueError, match="as many pairs"):
        CosineWeights(pairs=PAIRS, scores=np.zeros(2))


def test_concat_checks_its_weights():
    with pytest.raises(ValueError, match="must not be negative"):
        Concat(weights=[1, -1])
    with pytest.raises(ValueError, match="1 for 2 members"):
        Concat(weights=[1])([np.ones((2, 2))] * 2)
    assert Concat()([np.ones((2, 2))] * 2)[0] == pytest.approx([0.5] * 4)
