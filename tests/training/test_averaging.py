"""Weight averages by hand, and EMA against the recording of WeChat rank 72 (golden rank72/ema, tolerance 1e-6)."""

import pytest
import torch
from torch import nn

from lib.training.averaging import WeightEma, WeightSwa, greedy_soup, soup
from tests.golden_rule import load_case
from tests.training.toy import loss_of, toy


def one(value: float) -> nn.Module:
    module = nn.Module()
    module.weight = nn.Parameter(torch.tensor([value]))
    module.frozen = nn.Parameter(torch.tensor([5.0]), requires_grad=False)
    module.register_buffer("counter", torch.tensor([0.0]))
    return module


def mean_of(averaging, module) -> float:
    with averaging.applied():
        return float(module.weight.detach())


def test_golden_ema():
    case = load_case("rank72/ema")
    module = toy(case)
    ema = WeightEma(decay=case.settings["decay"], corrected=False)
    ema.start(module)
    for step in (1, 2, 3):
        loss = loss_of(module, case)
        assert loss.item() == pytest.approx(float(case[f"out/step{step}/loss"]), abs=1e-6)
        gradients = torch.autograd.grad(loss, list(module.parameters()))
        with torch.no_grad():
            for parameter, gradient in zip(module.parameters(), gradients, strict=True):
                parameter -= 0.5 * gradient
        ema.update(step, 3)
        own = {name: parameter.detach().clone() for name, parameter in module.named_parameters()}
        with ema.applied():
            for name, parameter in module.named_parameters():
                torch.testing.assert_close(own[name], case[f"out/step{step}/param/{name}"], rtol=0, atol=1e-6)
                torch.testing.assert_close(parameter.detach(), case[f"out/step{step}/shadow/{name}"], rtol=0, atol=1e-6)
            if step == 3:
                assert loss_of(module, case).item() == pytest.approx(float(case["out/loss_with_shadow"]), abs=1e-6)
        assert all(torch.equal(parameter, own[name]) for name, parameter in module.named_parameters())


def test_section_15_tricks_ema():
    """Constant parameters stay constant; from 0 with fixed 1 the mean after t steps is 1 - d^t; 0.999^1000 = 0.36770."""
    module, ema = one(0.0), WeightEma(decay=0.999, corrected=False)
    ema.start(module)
    ema.update(1, 1)
    assert mean_of(ema, module) == 0.0
    module.weight.data.fill_(1.0)
    for step in range(1000):
        ema.update(step, 1000)
    assert mean_of(ema, module) == pytest.approx(1 - 0.36770, abs=1e-4)


def test_the_corrected_mean_is_that_of_the_updates():
    """Weights 1, 3, 2 after a start at 100, decay 0.5: means 1, (1 + 2 * 3) / 3, (1 + 2 * 3 + 4 * 2) / 7."""
    module, ema = one(100.0), WeightEma(decay=0.5)
    ema.start(module)
    seen = []
    for step, value in enumerate((1.0, 3.0, 2.0), 1):
        module.weight.data.fill_(value)
        ema.update(step, 3)
        seen.append(mean_of(ema, module))
    assert seen == pytest.approx([1, 7 / 3, 15 / 7], rel=1e-6)


def test_the_corrected_mean_of_a_decay_near_one_is_the_plain_mean():
    module, ema = one(-50.0), WeightEma(decay=1 - 1e-9)
    ema.start(module)
    for step in range(1, 265):
        module.weight.data.fill_(float(step))
        ema.update(step, 264)
    assert mean_of(ema, module) == pytest.approx(132.5, rel=1e-4)


def test_frozen_and_buffers_are_those_of_the_live_model():
    module, ema = one(0.0), WeightEma(decay=0.5)
    ema.start(module)
    module.counter.fill_(3.0)
    ema.update(1, 1)
    with ema.applied():
        assert float(module.counter) == 3.0 and module.frozen.item() == 5.0


def test_own_weights_come_back_after_an_error():
    module, ema = one(0.0), WeightEma(decay=0.5)
    ema.start(module)
    module.weight.data.fill_(1.0)
    with pytest.raises(RuntimeError), ema.applied():
        assert module.weight.item() == 0.0
        raise RuntimeError
    assert module.weight.item() == 1.0


def test_swa_by_hand():
    """Eight steps with weights 1 to 8, the last half, every second: members 6 and 8, mean 7; before that the live weight."""
    module, swa = one(0.0), WeightSwa(start=0.5, every=2)
    swa.start(module)
    seen = []
    for step in range(1, 9):
        module.weight.data.fill_(float(step))
        swa.update(step, 8)
        seen.append(mean_of(swa, module))
    assert seen == [1, 2, 3, 4, 4, 6, 6, 7]


def test_soup():
    mixed = soup([{"w": torch.tensor(w), "n": torch.tensor(3)} for w in ([1.0, 2.0], [3.0, 6.0])])
    assert mixed["w"].tolist() == [2.0, 4.0] and mixed["w"].dtype == torch.float32 and mixed["n"] == 3


def test_greedy_soup_by_hand():
    """Target 2: members 1.5, 4, 2.9 with errors .5, 2, .9. 1.5 alone .5; with 2.9: 2.2, error .2, kept; with 4: 2.8, .8, not."""
    members = [{"w": torch.tensor([value])} for value in (1.5, 4.0, 2.9)]
    errors = [0.5, 2.0, 0.9]
    mixed, kept = greedy_soup(members, errors, lambda state: abs(float(state["w"]) - 2), higher_is_better=False)
    assert kept == [0, 2] and float(mixed["w"]) == pytest.approx(2.2)


@pytest.mark.parametrize("buffers", [False, True])
def test_swa_averages_buffers_if_asked(buffers):
    module, swa = nn.BatchNorm1d(2), WeightSwa(start=0.0, buffers=buffers)
    swa.start(module)
    for step in (1, 2):
        module.running_mean.fill_(float(step))
        module.num_batches_tracked.fill_(step)
        swa.update(step, 2)
    with swa.applied():
        assert module.running_mean.tolist() == ([1.5, 1.5] if buffers else [2.0, 2.0])
        assert module.num_batches_tracked == 2
    assert module.running_mean.tolist() == [2.0, 2.0]
