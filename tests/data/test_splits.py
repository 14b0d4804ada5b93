"""Splits of pairs and videos, and rank targets."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.data import splits
from lib.data.targets import RankTarget, transform

pairs = st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=10, max_size=60)


def ids(values):
    return np.array([str(value) for value in values], object)


def test_r1_6_split():
    """AIAC specification 10, R1-6: (5, 10) validates; (5, 11), (3, 10), (3, 4) train."""
    train, val = splits.both_mod_k(ids([5, 5, 3, 3]), ids([10, 11, 10, 4]))
    assert val.tolist() == [True, False, False, False] and train.tolist() == [False, True, True, True]


def test_ids_of_twenty_digits_are_exact():
    assert splits.residue(ids([12345678901234567891]), 5).tolist() == [1]


@given(pairs)
def test_leak_free_splits_leak_nothing_and_the_published_one_can(items):
    a, b = ids([x for x, _ in items]), ids([y for _, y in items])
    for rule in (splits.strict_mod_k, splits.components):
        train, val = rule(a, b, k=3)
        assert not (train & val).any() and splits.leak(a, b, train, val) == 0.0
    assert (splits.both_mod_k(a, b, k=3)[1] == splits.strict_mod_k(a, b, k=3)[1]).all()


def test_the_published_split_leaks():
    a, b = ids([5, 5]), ids([10, 11])
    assert splits.leak(a, b, *splits.both_mod_k(a, b)) == 1.0


@pytest.mark.parametrize("rule", [splits.random_split, splits.holdout])
def test_videos_are_split_once_per_fold(rule):
    labels = np.repeat(np.arange(5), 20)
    folds = [rule(labels, fraction=0.2, fold=fold)[1] for fold in range(5)]
    assert (np.sum(folds, axis=0) == 1).all() and all(fold.sum() == 20 for fold in folds)
    if rule is splits.holdout:
        assert all(np.bincount(labels[fold]).tolist() == [4] * 5 for fold in folds)


def test_r1_5_rank_labels():
    """AIAC specification 10, R1-5."""
    assert RankTarget(np.array([0.2, 0.2, 0.5, 1.0]))(np.array([0.2, 0.2, 0.5, 1.0])).tolist() == [0, 0, pytest.approx(0.6), 1]


def test_rank_targets_do_not_look_at_validation_unless_asked():
    train, val = np.array([0.0, 1.0]), np.array([0.5, 0.5])
    assert transform("rank", train, val)[1].tolist() == [0.5, 0.5]
    assert transform("rank_all", train, val)[0].tolist() == [0.0, 1.0]
    assert transform("raw", train, val)[1] is val
