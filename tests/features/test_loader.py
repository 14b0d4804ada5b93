"""Order and grouping of batches, with an assembler that hands back what it is asked for."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.features.loader import EvalLoader, Items, TrainLoader, alike


class Echo:
    """Frame and text lengths of ``count`` videos; a "batch" is the rows asked for."""

    def __init__(self, count: int, train_frames: tuple[int, ...] = ()):
        self.train_frames = train_frames
        generator = np.random.default_rng(0)
        self.frame_lengths, self.text_lengths = generator.integers(1, 33, count), generator.integers(3, 37, count)

    def __call__(self, items: Items, *, train: bool, epoch: int = 0, most: int | None = None) -> SimpleNamespace:
        return SimpleNamespace(rows=items.rows, epoch=epoch, most=most)


def epoch_of(loader: TrainLoader, skip: int = 0) -> list[np.ndarray]:
    loader.load_state_dict({"step": skip * loader.steps_per_epoch})
    stream = iter(loader)
    return [next(stream).rows for _ in range(loader.steps_per_epoch)]


@pytest.mark.parametrize("bucket", [False, True])
def test_each_item_once_an_epoch_and_another_order_in_the_next(bucket):
    loader = TrainLoader(Echo(1000), Items(np.arange(1000)), 32, seed=0, bucket=bucket)
    assert loader.steps_per_epoch == 31
    first, second = (np.concatenate(epoch_of(loader, skip)) for skip in (0, 1))
    assert len(np.unique(first)) == len(first) == 31 * 32 and not np.array_equal(first, second)
    assert all(len(rows) == 32 for rows in epoch_of(loader))


@pytest.mark.parametrize("bucket", [False, True])
def test_order_is_a_function_of_seed_and_epoch(bucket):
    """What a resume relies on: a fresh loader set to step 40 goes on like one that has walked there."""
    walked, set_there = (TrainLoader(Echo(1000), Items(np.arange(1000)), 32, seed=3, bucket=bucket) for _ in range(2))
    stream = iter(walked)
    for _ in range(40):
        next(stream)
    set_there.load_state_dict(walked.state_dict())
    other = iter(set_there)
    for _ in range(30):
        left, right = next(stream), next(other)
        assert np.array_equal(left.rows, right.rows) and left.epoch == right.epoch
    reseeded = TrainLoader(Echo(1000), Items(np.arange(1000)), 32, seed=4, bucket=bucket)
    assert not np.array_equal(epoch_of(reseeded)[0], epoch_of(walked)[0])


def test_numbers_of_frames_are_drawn_for_a_batch_by_seed_and_step():
    def drawn(seed, start=0):
        loader = TrainLoader(Echo(200, (5, 32)), Items(np.arange(200)), 20, seed=seed, bucket=True)
        loader.load_state_dict({"step": start})
        stream = iter(loader)
        return [next(stream).most for _ in range(200 - start)]

    whole = drawn(0)
    assert set(whole) == {5, 32} and 70 < whole.count(5) < 130
    assert drawn(0, start=13) == whole[13:] and drawn(1) != whole
    plain = TrainLoader(Echo(40), Items(np.arange(40)), 8, seed=0, bucket=False)
    assert next(iter(plain)).most is None


def test_groups_come_one_after_the_other():
    items = Items(np.arange(100), group=np.repeat([0, 1], [60, 40]))
    rows = epoch_of(TrainLoader(Echo(100), items, 10, seed=0, bucket=True))
    assert all((batch < 60).all() for batch in rows[:6]) and all((batch >= 60).all() for batch in rows[6:])


def test_alike_by_hand():
    """Eight videos, batches of 2: four batches, two strips of two. By frames 1 1 1 1 | 9 9 9 9, inside by text."""
    frames, text = np.array([9, 1, 9, 1, 9, 1, 9, 1]), np.array([5, 6, 7, 8, 1, 2, 3, 4])
    assert alike(frames, text, 2).tolist() == [5, 7, 1, 3, 4, 6, 0, 2]


@settings(max_examples=50)
@given(count=st.integers(0, 300), size=st.integers(1, 40))
def test_alike_is_a_permutation(count, size):
    echo = Echo(count)
    assert sorted(alike(echo.frame_lengths, echo.text_lengths, size)) == list(range(count))


def test_alike_saves_padding():
    """Uniform lengths (mean 16.5 + 19.5 = 36): a random batch of 32 pads to nearly 67, one of alike videos to under 43."""
    echo = Echo(3200)
    padded = {}
    for bucket in (False, True):
        batches = epoch_of(TrainLoader(echo, Items(np.arange(3200)), 32, seed=0, bucket=bucket))
        padded[bucket] = np.mean([echo.frame_lengths[rows].max() + echo.text_lengths[rows].max() for rows in batches])
    assert padded[False] > 66 and padded[True] < 43


def test_pairs_are_grouped_by_their_longer_side():
    echo = Echo(800)
    pairs = np.random.default_rng(1).integers(0, 800, (1600, 2))
    lengths = [
        echo.frame_lengths[rows].max() - echo.frame_lengths[rows].max(axis=1).mean()
        for rows in epoch_of(TrainLoader(echo, Items(pairs), 16, seed=0, bucket=True))
    ]
    assert np.mean(lengths) < 2


def test_evaluation_sees_each_video_once_and_the_longest_first():
    echo = Echo(100)
    loader = EvalLoader(echo, np.arange(100), 16)
    batches = [batch.rows for batch in loader]
    assert sorted(np.concatenate(batches)) == list(range(100)) and len(batches) == len(loader) == 7
    cost = [echo.frame_lengths[rows].max() + echo.text_lengths[rows].max() for rows in batches]
    assert cost[0] == max(cost)
