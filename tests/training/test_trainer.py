"""The loop on a tiny problem whose steps can be followed by hand."""

import copy

import pytest
import torch
from torch import nn

from lib.training.adversarial import Fgm
from lib.training.averaging import WeightEma
from lib.training.schedule import Constant, WarmupLinear
from tests.training.standin import Loader, Model, error, trainer

NAN = float("nan")


def weights(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def equal(left: dict, right: dict) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def test_two_steps_by_hand():
    """Plain torch in the order of the design: loss, backward, clip, AdamW, schedule."""
    rows = []
    schedule = WarmupLinear(total_steps=2, warmup=0)
    ours = trainer(dropout=0.0, noisy=False, rows=rows, schedule=schedule, max_grad_norm=0.5, log_every=1)
    model = copy.deepcopy(ours.task.model)
    ours.fit(Loader(), 2)

    optimizer, stream = torch.optim.AdamW(model.parameters(), lr=1e-2), iter(Loader())
    for step, rate in enumerate((1e-2, 0.5e-2)):
        batch = next(stream)
        loss = (model(batch) - batch.y).square().mean()
        optimizer.zero_grad()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.param_groups[0]["lr"] = rate
        optimizer.step()
        assert rows[step]["loss"] == pytest.approx(loss.item(), rel=1e-6)
        assert rows[step]["grad_norm"] == pytest.approx(float(norm), rel=1e-6)
        assert rows[step]["lr"] == rate and rows[step]["step"] == step + 1 and rows[step]["epoch"] == (step + 1) / 8
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(ours.task.model.state_dict()[name], tensor, rtol=0, atol=1e-7)


def test_history_rows_are_means_since_the_last_row():
    single, tens = [], []
    trainer(rows=single, log_every=1).fit(Loader(), 20)
    trainer(rows=tens, log_every=10).fit(Loader(), 20)
    # an epoch has 8 steps, evaluations close a row
    assert [row["step"] for row in tens if "loss" in row] == [8, 10, 16, 20]
    flat = [row | row["terms"] for row in (tens[0], *single) if row["step"] <= 8]
    for name in ("loss", "fit", "noisy", "grad_norm"):
        assert flat[0][name] == pytest.approx(sum(row[name] for row in flat[1:]) / 8, rel=1e-6)
    row = tens[0]
    assert row["loss"] == pytest.approx(row["terms"]["fit"] + 0.1 * row["terms"]["noisy"], rel=1e-6)


def test_no_clipping_is_faithful():
    rows = []
    ours = trainer(noisy=False, dropout=0.0, rows=rows, max_grad_norm=None, log_every=1)
    model, batch = copy.deepcopy(ours.task.model), next(iter(Loader()))
    (model(batch) - batch.y).square().mean().backward()
    by_hand = torch.cat([parameter.grad.flatten() for parameter in model.parameters()]).norm()
    ours.fit(Loader(), 1)
    assert rows[0]["grad_norm"] == pytest.approx(float(by_hand), rel=1e-6)


def test_an_adversary_takes_part():
    attacked = trainer(dropout=0.0, noisy=False, schedule=Constant(), adversarial=Fgm())
    plain = trainer(dropout=0.0, noisy=False, schedule=Constant())
    for ours in (attacked, plain):
        ours.fit(Loader(), 3)
    assert not equal(weights(attacked.task), weights(plain.task))


BEST = [(True, [0.1, 0.5, 0.5, 0.2], 6), (False, [0.4, 0.1, 0.3, 0.1], 8), (True, [NAN, 0.2, 0.1, NAN], 4)]


@pytest.mark.parametrize("higher_is_better, scores, kept", BEST)
def test_keeps_the_best_and_ties_update(higher_is_better, scores, kept):
    """Specification A4: lowest validation MSE, ties update. A score that is not a number never wins."""
    seen, given = [], iter(scores)

    def score(model):
        seen.append(weights(model))
        return {"error": next(given)}

    rows = []
    ours = trainer(score=score, higher_is_better=higher_is_better, eval_every=2, rows=rows)
    result = ours.fit(Loader(), 8)
    assert result.best_step == kept and result.best_score == scores[kept // 2 - 1]
    assert equal(weights(ours.task.model), seen[kept // 2 - 1])
    assert [row["step"] for row in rows if "scores" in row] == [2, 4, 6, 8]
    if scores[0] != scores[0]:
        assert next(row for row in rows if "scores" in row)["scores"] == {"error": None}  # NaN is not JSON


def test_keep_last():
    given = iter([0.1, 0.9])
    ours = trainer(score=lambda model: {"error": next(given)}, eval_every=2, keep_best=False)
    assert ours.fit(Loader(), 4).best_step == 4
    best = trainer(score=None)
    best.fit(Loader(), 4)
    assert equal(weights(ours.task.model), weights(best.task.model))


def test_evaluates_once_an_epoch_by_default():
    rows = []
    trainer(score=error, rows=rows).fit(Loader(videos=64, batch_size=8), 20)
    assert [row["step"] for row in rows if "scores" in row] == [8, 16, 20]


def test_evaluation_does_not_change_what_is_learned():
    """A score that draws random numbers and switches modes leaves the training stream alone."""

    def score(model):
        torch.rand(17)
        assert not model.training
        return error(model)

    often, never = trainer(score=score, eval_every=1, keep_best=False), trainer()
    often.fit(Loader(), 20)
    never.fit(Loader(), 20)
    assert equal(weights(often.task), weights(never.task)) and often.task.training


def test_averaged_weights_are_evaluated_and_kept():
    seen = []
    settings = {"averaging": WeightEma(decay=0.9), "steps": 24}
    ours = trainer(score=lambda model: seen.append(weights(model)) or error(model), **settings)
    ours.fit(Loader(), 24)
    raw = trainer(score=None, steps=24)
    raw.fit(Loader(), 24)
    assert not equal(seen[-1], weights(raw.task.model))
    assert equal(seen[-1], weights(ours.task.model))


def test_the_mean_of_the_two_best_is_kept():
    seen, given = [], iter([0.5, 0.1, 0.9, 0.2])
    ours = trainer(
        score=lambda model: seen.append(weights(model)) or {"error": next(given)},
        eval_every=2,
        mean_of=2,
        keep_best=True,
    )
    result = ours.fit(Loader(), 8)
    assert (result.best_step, result.best_score) == (4, 0.1) and len(seen) == 4
    for name, tensor in weights(ours.task.model).items():
        torch.testing.assert_close(tensor, (seen[1][name] + seen[3][name]) / 2)


def test_a7_5_reload_best_each_epoch():
    """Quirk A7-5: at each epoch's end the best weights come back, while the optimizer goes on."""
    given, at_end, rows, at_step = iter([0.1, 0.9, 0.9]), [], [], {}
    settings = {"reload_best_each_epoch": True, "rows": rows, "log_every": 1}
    ours = trainer(score=lambda model: at_end.append(weights(model)) or {"error": next(given)}, **settings)
    original = ours.schedule.multiplier
    ours.schedule.multiplier = lambda update: at_step.update({update: weights(ours.task.model)}) or original(update)
    ours.fit(Loader(), 24)
    events = [{"step": step, "event": "reload_best", "from": 8} for step in (8, 16)]
    assert [row for row in rows if "event" in row] == events
    begin_of_third_epoch = at_step[16]
    assert equal(begin_of_third_epoch, at_end[0]) and not equal(begin_of_third_epoch, at_end[1])
    assert all(float(state["step"]) == 24 for state in ours.optimizer.state.values())  # moments were never reset


def test_random_draws_depend_on_the_step_alone():
    """Switching the corrupting term off leaves dropout as it was: common random numbers."""
    drawn = []

    class Watching(Model):
        def forward(self, batch):
            drawn.append(self.drop(torch.ones(32)))
            return super().forward(batch)

    for noisy in (True, False):
        ours = trainer(noisy=noisy)
        ours.task.model.__class__ = Watching
        ours.fit(Loader(), 3)
    assert len(drawn) == 6 and all(torch.equal(drawn[step], drawn[step + 3]) for step in range(3))
    assert not torch.equal(drawn[0], drawn[1])


def test_accumulation_equals_a_larger_batch():
    """Without dropout and noise two batches of 4 give the step of one batch of 8, also where an adversary asks again."""
    adversary = {"dropout": 0.0, "noisy": False, "schedule": Constant(), "adversarial": Fgm(), "score": error}
    rows, more = [], []
    whole, parts = trainer(rows=rows, **adversary), trainer(rows=more, accumulate=2, **adversary)
    whole.fit(Loader(batch_size=8), 10)
    assert parts.fit(Loader(batch_size=4), 10).samples == 80
    assert (
        [row["step"] for row in more if "scores" in row] == [row["step"] for row in rows if "scores" in row] == [8, 10]
    )
    assert more[0]["terms"]["fit"] == pytest.approx(rows[0]["terms"]["fit"], rel=1e-6)
    for name, tensor in weights(whole.task).items():
        torch.testing.assert_close(weights(parts.task)[name], tensor, rtol=0, atol=1e-6)
