"""Splits and targets against the published rules, and what they may not let through."""

import warnings
import zlib
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.data import splits
from lib.data.items import class_counts, rank_target, split_rows, transform


def ids(*pairs: tuple[object, object]) -> tuple[np.ndarray, np.ndarray]:
    first, second = zip(*pairs, strict=True)
    return np.array([str(x) for x in first], object), np.array([str(x) for x in second], object)


GRAPHS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), min_size=1, max_size=80)


def test_aiac_10_r1_6_both_mod_5_is_the_published_rule_and_strict_drops_what_straddles():
    """AIAC rank 1: a pair validates if both ids are 0 mod 5; all others train."""
    pairs = ids((5, 10), (5, 11), (3, 10), (3, 4))
    for rule, trains in (splits.both_mod_k, [1, 2, 3]), (splits.strict_mod_k, [3]):
        train, val = rule(*pairs)
        assert np.flatnonzero(val).tolist() == [0] and np.flatnonzero(train).tolist() == trains


def test_thinned_keeps_as_many_as_strict():
    first, second = np.random.default_rng(3).integers(0, 400, (2, 900))
    names = ids(*zip(first, second, strict=True))
    published, strict, thinned = splits.both_mod_k(*names), splits.strict_mod_k(*names), splits.thinned_mod_k(*names)
    assert np.array_equal(thinned.val, published.val)
    assert strict.train.sum() == thinned.train.sum() < published.train.sum()
    assert not (thinned.train & ~published.train).any() and (thinned.train & ~strict.train).any()
    assert not np.array_equal(splits.thinned_mod_k(*names, seed=1).train, thinned.train)


def test_targets_of_other_pairs_do_not_enter_the_ranks():
    train, validation, test = np.array([0.2, 0.2, 0.5, 1.0]), np.array([0.4]), np.array([0.3, 0.9])
    without = transform("rank_all", train, validation)[0]
    assert np.array_equal(transform("rank_all", train, validation, test)[0], without)


def test_ids_of_20_digits_are_exact():
    """float64 holds 15 digits: these ids differ by 1 and would fall together."""
    names = ["92233720368547758075", "92233720368547758076", "10000000000000000000", "99999999999999999999"]
    assert splits.residue(np.array(names), 5).tolist() == [0, 1, 0, 4]


def test_other_ids_have_a_stable_residue():
    """Ids that are no numbers count by their CRC-32 (zlib's, of UTF-8), not by Python's salted hash."""
    names = ["123456789a", "猫"]
    assert splits.residue(np.array(names), 7).tolist() == [zlib.crc32(name.encode()) % 7 for name in names]
    assert splits.residue(np.array(["a"]), 1000).tolist() == [0xE8B7BE43 % 1000]  # crc32("a")


@given(GRAPHS, st.integers(0, 4))
@settings(deadline=None)
def test_leaks_nothing(pairs: list[tuple[int, int]], fold: int):
    first, second = ids(*pairs)
    for rule in (splits.strict_mod_k, splits.components):
        train, val = rule(first, second, k=5, fold=fold)
        assert not (train & val).any()
        seen = set(first[train]) | set(second[train])
        assert not seen & (set(first[val]) | set(second[val])), rule.__name__
        assert splits.Split(train, val).leak(first, second) == 0


@given(GRAPHS)
@settings(max_examples=30, deadline=None)
def test_folds_partition_the_pairs(pairs: list[tuple[int, int]]):
    """Every pair validates in exactly one fold of whole components, and keeps training in the others."""
    first, second = ids(*pairs)
    held = np.array([splits.components(first, second, k=5, fold=fold)[1] for fold in range(5)])
    assert (held.sum(axis=0) == 1).all()
    train, val = splits.components(first, second, k=5, fold=2)
    assert (train ^ val).all()


def test_components_balance():
    """Forty isolated pairs make five folds of eight."""
    first, second = ids(*((2 * k, 2 * k + 1) for k in range(40)))
    assert [int(splits.components(first, second, k=5, fold=fold)[1].sum()) for fold in range(5)] == [8] * 5


def test_leak_counts_pairs_that_touch_training():
    first, second = ids((5, 10), (15, 20), (5, 11), (3, 4))
    train, val = splits.both_mod_k(first, second)
    assert val.tolist() == [True, True, False, False]
    assert splits.Split(train, val).leak(first, second) == 0.5


def test_holdout_is_stratified():
    labels = np.repeat([0, 1, 2, 3], [500, 300, 190, 10])
    train, val = splits.holdout(labels)
    assert np.bincount(labels[val]).tolist() == [50, 30, 19, 1]
    assert (train ^ val).all()
    held = np.array([splits.holdout(labels, fold=fold)[1] for fold in range(10)])
    assert (held.sum(axis=0) == 1).all()


@pytest.mark.parametrize(("k", "seed"), [(5, 802), (10, 2022)])
def test_stratified_folds_are_scikit_learns(k: int, seed: int, recwarn: pytest.WarningsRecorder):
    """A long tail down to one video a class: no warning, every video held out once, classes spread as far as they go."""
    from sklearn.model_selection import StratifiedKFold

    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(7), [200, 90, 41, 12, 4, 2, 1]))
    held = np.array([splits.holdout(labels, fraction=1 / k, seed=seed, fold=fold).val for fold in range(k)])
    assert not recwarn.list and (held.sum(axis=0) == 1).all()
    shares = np.array([np.bincount(labels[fold], minlength=7) for fold in held])
    assert (np.ptp(shares, axis=0) <= 1).all() and np.ptp(held.sum(axis=1)) <= 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = list(StratifiedKFold(k, shuffle=True, random_state=seed).split(labels, labels))
    assert all(np.array_equal(np.flatnonzero(fold), other) for fold, (_, other) in zip(held, theirs, strict=True))
    with pytest.raises(ValueError, match=f"fold must be 0 to {k - 1}, got {k}"):
        splits.holdout(labels, fraction=1 / k, fold=k)


def test_labelled_videos_of_some_parts_in_folds():
    """Six labelled videos in two parts and one without a label; the classes of what trains are counted."""
    parts = np.array(["a", "a", "b", "a", "b", "a", "a"])
    labels = np.array([0, 0, 0, 1, 1, 1, -1])
    store = SimpleNamespace(
        parts=["a", "b"],
        manifest={"categories": ["0000", "0001", "0002"]},
        categories=lambda: labels,
        rows=lambda *names: np.flatnonzero(np.isin(parts, names or ("a", "b"))),
    )
    found = [split_rows(store, use="stratified", k=3, fold=fold) for fold in range(3)]
    assert sorted(np.concatenate([held for _, held in found])) == [0, 1, 2, 3, 4, 5]
    for train, held in found:
        assert labels[held].tolist() == [0, 1] and not set(train) & set(held)
        assert class_counts(store, train).tolist() == [2, 2, 0]
    train, held = split_rows(store, ("a", "unknown"), use="random", k=2)
    assert sorted([*train, *held]) == [0, 1, 3, 5] and len(held) == 2


def test_aiac_10_r1_5_rank_target():
    """Specification R1-5: ranks [1.5, 1.5, 3, 4], then (r - 1.5) / 2.5."""
    scores = np.array([0.2, 0.2, 0.5, 1.0])
    assert rank_target(scores, scores) == pytest.approx([0, 0, 0.6, 1])
    assert rank_target(scores, np.array([0.0, 0.35, 2.0])) == pytest.approx([0, 0.3, 1])  # between and beyond


def test_rank_target_of_one_value():
    assert rank_target(np.array([0.5, 0.5]), np.array([0.5])).tolist() == [0]
    with pytest.raises(ValueError, match="at least one"):
        rank_target(np.array([]), np.array([]))


@given(st.lists(st.sampled_from([k / 20 for k in range(21)]), min_size=2, max_size=50))
@settings(deadline=None)
def test_rank_target_keeps_the_order(scores: list[float]):
    values = np.array(scores)
    target = rank_target(values, values)
    assert target.min() >= 0 and target.max() <= 1
    order = np.argsort(values, kind="stable")
    assert (np.diff(target[order]) >= 0).all()
    assert ((np.diff(values[order]) > 0) == (np.diff(target[order]) > 0)).all()


def test_transform_sees_validation_only_as_published():
    """``rank`` fits on training pairs alone; ``rank_all`` on validation too, as the published code does (quirk A7-8)."""
    train, validation = np.array([0.0, 0.5, 1.0]), np.array([0.5, 0.5])
    assert transform("raw", train, validation)[0] is train
    assert transform("rank", train, validation)[0] == pytest.approx([0, 0.5, 1])
    # ranks of [0, .5, 1, .5, .5] are 1, 3, 5: the same here; one more value at the top tips it
    assert transform("rank", train, np.array([1.0]))[0] == pytest.approx([0, 0.5, 1])
    assert transform("rank_all", train, np.array([1.0]))[0] == pytest.approx([0, 0.4, 1])


def test_random_split_is_the_baselines():
    """torch's random_split of 10 % with a generator of seed 2022, training first, as the official code calls it."""
    import torch
    from torch.utils.data import random_split

    labels = np.zeros(253)
    _, theirs = random_split(range(253), [228, 25], generator=torch.Generator().manual_seed(2022))
    train, val = splits.random_split(labels)
    assert np.flatnonzero(val).tolist() == sorted(theirs) and (train ^ val).all()
    assert (splits.random_split(labels, seed=1)[1] != val).any()
    assert not (val & splits.random_split(labels, fold=1)[1]).any()


def test_kfold_rows():
    held = np.array([splits.kfold_rows(23, k=5, fold=fold)[1] for fold in range(5)])
    assert (held.sum(axis=0) == 1).all() and sorted(held.sum(axis=1)) == [4, 4, 5, 5, 5]
    assert (splits.kfold_rows(23, seed=1)[1] != splits.kfold_rows(23)[1]).any()


@given(st.lists(st.integers(0, 12), min_size=1, max_size=60), st.integers(0, 4))
@settings(deadline=None)
def test_group_kfold_keeps_groups_whole(groups: list[int], fold: int):
    split = splits.group_kfold(np.array(groups), fold=fold)
    assert split.leak(np.array(groups)) == 0
    assert (split.train ^ split.val).all()
    assert not set(np.array(groups)[split.train]) & set(np.array(groups)[split.val])


def test_group_kfold_balances_by_size_by_hand():
    """Sizes 8, 5, 4, 3, 2 into two folds: 8 | 5, 5+4, 8+3, 9+2: both hold 11. By number of groups they would be 14 and 8."""
    groups = np.repeat(np.arange(5), [8, 5, 4, 3, 2])
    folds = [splits.group_kfold(groups, k=2, fold=fold).val for fold in (0, 1)]
    assert [sorted(set(groups[val].tolist())) for val in folds] == [[0, 3], [1, 2, 4]]
    assert [int(val.sum()) for val in folds] == [11, 11]


@given(st.lists(st.integers(1, 40), min_size=1, max_size=30), st.integers(2, 6))
@settings(deadline=None)
def test_group_kfold_differs_by_at_most_one_group(sizes: list[int], k: int):
    """Largest first, each to the smallest fold: two folds differ by no more than the last group the fuller one got, so by
    no more than the largest group; folds count from the smallest, and each item is held out once."""
    groups = np.repeat(np.arange(len(sizes)), sizes)
    held = np.array([splits.group_kfold(groups, k=k, fold=fold).val for fold in range(k)])
    loads = held.sum(axis=1)
    assert (held.sum(axis=0) == 1).all() and (np.diff(loads) >= 0).all()
    for number, val in enumerate(held):
        if len(got := [size for group, size in enumerate(sizes) if val[groups == group].any()]):
            assert loads[number] - min(got) <= loads.min()


def test_fewer_items_than_folds():
    with pytest.raises(ValueError, match="3 items cannot be dealt into 10"):
        splits.holdout(np.zeros(3))
