"""Divergence: when it is one, what is restored, when it is given up."""

import math

import pytest
import torch

from lib.training.averaging import WeightEma
from lib.training.divergence import DivergenceError, Rewind
from lib.training.schedule import Schedule
from tests.training.standin import Loader, error, trainer


def verdicts(judge: Rewind, losses: list[float]) -> list[int]:
    """Positions of the losses that are judged a divergence."""
    return [position for position, loss in enumerate(losses) if judge.observe(loss)]


def test_a4_1_the_published_divergence():
    """Specification A4.1: 0.795 up to step 92,000, then about 4.44 and stuck; 4.44 > 3 x 0.795."""
    assert verdicts(Rewind(window=50, patience=5), [0.795] * 60 + [4.44] * 5) == [64]
    assert verdicts(Rewind(window=50, patience=6), [0.795] * 60 + [4.44] * 5) == []


def test_what_is_no_divergence():
    assert verdicts(Rewind(window=4, patience=2), [1.0] * 8 + [3.0] * 8) == [], "three times the median is allowed"
    assert verdicts(Rewind(window=4, patience=2), [1.0] * 8 + [9.0, 1.0] * 8) == [], "never two on end"
    assert verdicts(Rewind(window=50, patience=2), [1.0] * 20 + [9.0] * 20) == [], "the window is not full"
    assert verdicts(Rewind(window=4, patience=2), [884.9, 199.6, 33.69, 7.558, 3.665, 2.354, 1.077, 0.795]) == []
    assert verdicts(Rewind(window=4, patience=2), [1.0] * 4 + [1e-9] * 8 + [1e-8] * 8) == [], "noise around zero"


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_not_finite_is_one_at_once(loss):
    assert verdicts(Rewind(patience=5), [1.0, loss]) == [1]


def test_the_yardstick_is_the_best_running_median():
    """Window 3, by hand: medians 5, 4, 2, 2; limit 3 x 2 = 6."""
    judge = Rewind(window=3, patience=1)
    assert verdicts(judge, [6, 5, 4, 4, 2, 2, 1]) == [] and judge.best == 2 and judge.limit == 6
    assert judge.observe(6.0) is None and "3 x its best running median 2" in judge.observe(6.01)


def test_a_poisoned_batch_is_skipped():
    rows = []
    ours = trainer(rows=rows, rewind=Rewind(snapshot_every=10), log_every=1, score=error)
    result = ours.fit(Loader(poison=(15,)), 40)
    events = [row for row in rows if "event" in row]
    assert [(row["event"], row["step"], row["to"]) for row in events] == [("rewind", 15, 10)]
    assert "not finite" in events[0]["reason"]
    assert rows[rows.index(events[0]) - 1]["loss"] is None, "the loss itself is logged, as null"
    assert all(torch.isfinite(tensor).all() for tensor in ours.task.state_dict().values())
    assert math.isfinite(result.best_score) and result.steps == 40


def test_the_copy_is_restored_bit_for_bit():
    """A run of 12 steps whose last batch is poisoned ends as one of 10 steps: weights, average, moments."""

    def go(loader, steps, **settings):
        ours = trainer(rows=[], keep_best=False, averaging=WeightEma(decay=0.5), log_every=1, **settings)
        ours.fit(loader, steps)
        return ours

    rewound = go(Loader(poison=(12,)), 12, rewind=Rewind(snapshot_every=10))
    straight = go(Loader(), 10)
    assert rewound.rewind.rewinds == 1 and rewound.rewind.snapshot["step"] == 10
    for left, right in zip(rewound.task.parameters(), straight.task.parameters(), strict=True):
        assert torch.equal(left, right)
        moments = [ours.optimizer.state[parameter] for ours, parameter in ((rewound, left), (straight, right))]
        assert all(torch.equal(moments[0][name], moments[1][name]) for name in ("step", "exp_avg", "exp_avg_sq"))


def test_an_absurd_learning_rate_ends_with_a_clear_error():
    class Spike(Schedule):
        def multiplier(self, update: int) -> float:
            return 1.0 if update < 20 else 1e5

    rows, rewind = [], Rewind(window=5, patience=2, max_rewinds=2, snapshot_every=5)
    ours = trainer(rows=rows, schedule=Spike(), rewind=rewind, log_every=2)
    with pytest.raises(DivergenceError) as caught:
        ours.fit(Loader(), 200)
    assert [row["event"] for row in rows if "event" in row] == ["rewind", "rewind"]
    wanted = (f"at step {ours.state.step}:", "learning rate 1e+03, 2 rewinds", "Lower optimizer.lr", "max_grad_norm")
    assert ours.state.step > 20 and all(part in str(caught.value) for part in wanted)


def test_without_rewind_nothing_is_done():
    """Faithful: the original had no such check and ended up with whatever came out."""
    rows = []
    ours = trainer(rows=rows, rewind=None, log_every=1)
    ours.fit(Loader(poison=(5,)), 10)
    assert [row["loss"] is None for row in rows if "loss" in row] == [False] * 4 + [True] * 6


def test_a_first_loss_that_is_not_finite_cannot_be_rewound():
    with pytest.raises(DivergenceError, match="step 1:"):
        trainer(rows=[], rewind=Rewind(), log_every=1).fit(Loader(poison=(1,)), 5)
