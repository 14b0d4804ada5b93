"""Every trick at the setting where it does nothing gives the run without it, bit for bit. Neutral losses and
corrections of logits are tested beside them (objectives/test_category.py, objectives/test_agreement.py,
evaluation/test_postprocess.py)."""

from typing import cast

import numpy as np
import pytest
import torch

from lib.data.items import repeats, resample
from lib.training.adversarial import Adversary, Awp, Fgm, Pgd
from lib.training.averaging import WeightEma, WeightSwa
from lib.training.schedule import ConstantTail, WarmupCosine
from tests.training.standin import Loader, error, trainer

STEPS = 20


def learned(**settings) -> dict[str, torch.Tensor]:
    """The weights at the end of a run of the stand-in problem, with dropout and noise."""
    ours = trainer(steps=STEPS, **settings)
    ours.fit(Loader(), STEPS)
    return {name: tensor.clone() for name, tensor in ours.task.state_dict().items()}


def check(first, second) -> None:
    assert first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize(
    "averaging",
    [
        lambda: WeightEma(decay=0.0),
        lambda: WeightSwa(start=0.95),
        lambda: WeightSwa(start=0.0, every=STEPS, buffers=True),
    ],
    ids=["ema with decay 0", "swa of the last update", "swa of one checkpoint"],
)
@pytest.mark.parametrize("keep_best", [True, False])
def test_averages_of_one_model_are_the_model(averaging, keep_best):
    settings = {"score": error, "keep_best": keep_best, "eval_every": STEPS}
    check(learned(averaging=averaging(), **settings), learned(**settings))


class Idle:
    """What an adversary does around the second pass, without that pass."""

    def __init__(self, adversary: Adversary):
        self.adversary = adversary

    def __call__(self, module, again) -> None:
        kept = [(p, p.grad.clone()) for p in module.parameters() if p.grad is not None]
        before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
        moved = []
        self.adversary(module, lambda: moved.append(any((p != before[n]).any() for n, p in module.named_parameters())))
        assert all(moved) and moved
        check(module.state_dict(), before)
        for parameter, gradient in kept:
            parameter.grad.copy_(gradient)


@pytest.mark.parametrize("adversary", [Fgm(), Pgd(), Awp()])
def test_adversaries_put_every_weight_back_in_every_step(adversary):
    check(learned(adversarial=cast(Adversary, Idle(adversary))), learned())


def test_tail_at_the_schedules_own_factor():
    inner = WarmupCosine(total_steps=STEPS, warmup=0.1)
    check(learned(schedule=ConstantTail(inner, total_steps=STEPS, start=0.99, factor=inner.multiplier(19))), learned())


def test_resampling_once_is_the_plain_order():
    labels = np.array([3, 0, 0, 2, 3, 3, 1])
    for table in ((), [(10, 1)], [(1, 1), (2, 1), (100, 1)]):
        np.testing.assert_array_equal(resample(labels, labels, table), np.arange(7))
    assert (repeats(np.arange(5), [(3, 1)]) == 1).all()
