"""Schedules against transformers and against the numbers of the specifications."""

import numpy as np
import pytest
import torch
from transformers import get_cosine_schedule_with_warmup, get_linear_schedule_with_warmup

from lib.training.averaging import WeightSwa
from lib.training.schedule import ConstantTail, Plateau, WarmupCosine, WarmupLinear


def factors(schedule, updates: int) -> list[float]:
    return [schedule.multiplier(update) for update in range(updates)]


def reference(make, warmup: int, total: int, updates: int) -> list[float]:
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    scheduler, values = make(optimizer, warmup, total), []
    for _ in range(updates):
        values.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return values


@pytest.mark.parametrize("total, warmup", [(100, 0.06), (37, 0.1), (10, 3), (5, 0), (1, 0.06)])
@pytest.mark.parametrize(
    "ours, theirs", [(WarmupCosine, get_cosine_schedule_with_warmup), (WarmupLinear, get_linear_schedule_with_warmup)]
)
def test_equal_to_transformers(ours, theirs, total, warmup):
    expected = reference(theirs, int(warmup * total) if warmup < 1 else warmup, total, total)
    assert factors(ours(total_steps=total, warmup=warmup), total) == pytest.approx(expected, abs=1e-12)


def test_aiac_10_r1_6_warmup_lengths():
    """Section 10, R1-6: int(0.06 * 332379) = 19942; int(0.06 * 20429) = 1225."""
    assert WarmupCosine(total_steps=332379, warmup=0.06).warmup == 19942
    assert WarmupCosine(total_steps=20429, warmup=0.06).warmup == 1225


def test_section_15_system_0_5_published_schedule_is_longer_than_the_run():
    """0 at step 0, 5e-5 at 1,000, 2.23265e-5 after the last of 28,120 steps (quirk B3)."""
    schedule = WarmupLinear(total_steps=28120, warmup=0.02, stretch=1.778094)
    assert (schedule.total, schedule.warmup) == (50000, 1000)
    assert [5e-5 * schedule.multiplier(step) for step in (0, 1000)] == [0, 5e-5]
    assert 5e-5 * schedule.multiplier(28120) == pytest.approx(2.23265e-5, rel=1e-5)
    assert WarmupLinear(total_steps=28120, warmup=1000).multiplier(28120) == 0, "mended: it ends with the run"


def test_section_4_4_double_schedule():
    """Rank 72, T = 33,090: the published product table (quirk R12). 1,000 warm-up steps outside, 10 % inside."""
    schedule = WarmupLinear(total_steps=33090, warmup=1000, double=True)
    table = {500: 3.022e-6, 1000: 1.209e-5, 3309: 3.712e-5, 6618: 2.933e-5, 13236: 1.650e-5}
    for step, rate in table.items():
        assert 4e-5 * schedule.multiplier(step) == pytest.approx(rate, rel=5e-4)
    assert schedule.multiplier(0) == 0
    pretraining = WarmupLinear(total_steps=99500, warmup=1000, double=True)
    for step, rate in {1000: 5.025e-6, 9950: 4.546e-5, 19900: 3.592e-5}.items():
        assert 5e-5 * pretraining.multiplier(step) == pytest.approx(rate, rel=5e-4)


def test_golden_wechat_lr_by_step():
    from tests.golden_rule import load_case

    case = load_case("wechat/multimodal")
    schedule = WarmupLinear(total_steps=case.settings["max_steps"], warmup=case.settings["warmup_steps"])
    rates = [case.settings["learning_rate"] * schedule.multiplier(step) for step in range(11)]
    np.testing.assert_allclose(rates, case.array("out/lr_by_step"), rtol=1e-12, atol=0)


@pytest.mark.parametrize(
    "higher_is_better, scores", [(True, [0.1, 0.2, 0.2, 0.15, 0.3, 0.3]), (False, [0.5, 0.4, 0.4, 0.45, 0.1, 0.2])]
)
@pytest.mark.parametrize("patience", [0, 1])
def test_plateau_by_hand(higher_is_better, scores, patience):
    """Scores 3, 4 and 6 are no improvement. Patience 0 halves at each, patience 1 at the second in a row."""
    schedule = Plateau(factor=0.5, patience=patience)
    schedule.start(higher_is_better)
    seen = []
    for number, score in enumerate(scores):
        schedule.observe(score)
        seen.append(schedule.multiplier(number))
        resumed = Plateau(factor=0.5, patience=patience)
        resumed.start(higher_is_better)
        resumed.load_state_dict(schedule.state_dict())
        schedule = resumed
    assert seen == ([1, 1, 0.5, 0.25, 0.25, 0.125] if patience == 0 else [1, 1, 1, 0.5, 0.5, 0.5])


@pytest.mark.parametrize(
    "settings", [{"total_steps": 0}, {"total_steps": 10, "warmup": -1.0}, {"total_steps": 10, "stretch": 0.0}]
)
def test_impossible_lengths(settings):
    with pytest.raises(ValueError, match="schedule"):
        WarmupCosine(**settings)


@pytest.mark.parametrize("start, held", [(0.5, 5), (0.25, 2), (0.0, 0)])
def test_constant_tail_begins_with_the_first_member_of_the_average(start, held):
    inner = WarmupLinear(total_steps=10, warmup=0.2)
    tail = ConstantTail(inner, total_steps=10, start=start, factor=0.3)
    assert [tail.multiplier(n) for n in range(10)] == [inner.multiplier(n) for n in range(held)] + [0.3] * (10 - held)
    module, swa = torch.nn.Linear(1, 1), WeightSwa(start=start)
    swa.start(module)
    members = []
    for step in range(1, 11):
        before = swa.count
        swa.update(step, 10)
        members += [step - 1] if swa.count > before else []
    assert members == list(range(held, 10))


def test_constant_tail_keeps_the_state_of_what_it_holds():
    first, second = (ConstantTail(Plateau(), total_steps=10, start=0.5, factor=0.3) for _ in range(2))
    first.start(higher_is_better=False)
    second.start(higher_is_better=False)
    for score in (1.0, 2.0):
        first.observe(score)
    second.load_state_dict(first.state_dict())
    assert second.multiplier(0) == first.multiplier(0) == 0.5 and second.multiplier(9) == 0.3
