"""Preparing ahead changes nothing but the waiting."""

import threading

import pytest
import torch

from lib.training.feed import Feed
from tests.training.standin import Loader, error, trainer


@pytest.mark.parametrize("ahead", [0, 1, 3])
def test_same_batches_and_position(ahead):
    loader, plain = Loader(), iter(Loader())
    with Feed(loader, lambda batch, number: (number, batch), ahead) as feed:
        for expected in range(10):
            number, batch = feed.next()
            assert number == expected and feed.position == {"step": expected + 1}
            assert torch.equal(batch.x, next(plain).x)
    assert loader.step == 10, "what was prepared in vain is given back"


@pytest.mark.parametrize("ahead", [0, 2])
def test_errors_come_where_the_batch_is_asked_for(ahead):
    def prepare(batch, number):
        if number == 2:
            raise RuntimeError("bad frame")
        return batch

    with Feed(Loader(), prepare, ahead) as feed:
        feed.next(), feed.next()
        with pytest.raises(RuntimeError, match="bad frame"):
            feed.next()


def test_no_thread_stays_behind():
    before = threading.active_count()
    for stop_after in (0, 1, 5):
        with Feed(Loader(), lambda batch, number: batch, 2) as feed:
            for _ in range(stop_after):
                feed.next()
    assert threading.active_count() == before


def test_a_run_is_the_same_with_and_without():
    states = []
    for ahead in (0, 2):
        ours = trainer(ahead=ahead, score=error)
        ours.fit(Loader(), 12)
        ours.fit(Loader(), 12)
        states.append(ours.task.state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
