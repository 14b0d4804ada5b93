"""BertAdam against a recording of the original (golden/r17/bert_adam), its schedules, and what a resume needs."""

import copy

import numpy as np
import pytest
import torch

from lib.recipes.specs import OptimizerSpec
from lib.training.optimizers import BertAdam, build_optimizer
from lib.training.schedule import Constant, WarmupLinear, warmup_linear
from tests.golden_rule import fill, load_case

SHAPES = {"big.weight": (6, 4), "small.weight": (5, 3), "out.bias": (7,)}
SCALES = {"big.weight": 8.0, "small.weight": 0.05, "out.bias": 1.0}


def _problem():
    """The recorded quadratic problem: parameters, and a function that gives them their gradients."""
    points = {n: torch.from_numpy(fill(f"bert_adam/{n}", s)).requires_grad_() for n, s in SHAPES.items()}
    centres = {n: torch.from_numpy(fill(f"bert_adam/center/{n}", s)) for n, s in SHAPES.items()}

    def gradients():
        for point in points.values():
            point.grad = None
        sum(0.5 * SCALES[n] * (p - centres[n]).square().sum() for n, p in points.items()).backward()

    return points, gradients


def _check(case, run, points, gradients, update):
    for step in range(5):
        gradients()
        norms = torch.stack([point.grad.double().norm() for point in points.values()])
        torch.testing.assert_close(norms, case[f"out/{run}/grad_norms_before_clipping"][step], rtol=1e-5, atol=1e-7)
        update(step)
        for name, point in points.items():
            recorded = case[f"out/{run}/{name.replace('.', '_')}"][step]
            torch.testing.assert_close(point.detach(), recorded, rtol=0, atol=1e-6)


def _update(optimizer, lr, schedule):
    """A step as the trainer does it: the rate multiplied from outside."""

    def update(step):
        for group in optimizer.param_groups:
            group["lr"] = lr * schedule.multiplier(step)
        optimizer.step()

    return update


@pytest.mark.parametrize("run", ["warm", "constant"])
def test_golden_updates(run):
    case = load_case("r17/bert_adam")
    points, gradients = _problem()
    decays = zip(points.values(), case.settings["weight_decay"], strict=True)
    optimizer = BertAdam([{"params": [p], "weight_decay": d} for p, d in decays], lr=case.settings["lr"])
    schedule = WarmupLinear(total_steps=40, warmup=0.1, whole=False) if run == "warm" else Constant()
    _check(case, run, points, gradients, _update(optimizer, case.settings["lr"], schedule))


@pytest.mark.parametrize("run", ["double", "single"])
def test_golden_updates_without_clipping(run):
    """WeChat rank 72: BertAdam's own schedule, and times a second one from outside (quirk R12)."""
    case = load_case("rank72/bert_adam")
    settings = case.settings
    points, gradients = _problem()
    decays = {name: 0.0 if "bias" in name else settings["weight_decay"] for name in points}
    groups = [{"params": [point], "weight_decay": decays[name]} for name, point in points.items()]
    optimizer = BertAdam(groups, lr=settings["learning_rate"], max_grad_norm=None)
    total, warmup = settings["t_total"], settings["warmup_steps"] if run == "double" else 0.1
    schedule = WarmupLinear(total_steps=total, warmup=warmup, double=run == "double", whole=run == "double")
    _check(case, run, points, gradients, _update(optimizer, settings["learning_rate"], schedule))


def test_golden_schedule():
    recorded = load_case("r17/bert_adam").array("out/schedule_005_100")
    np.testing.assert_allclose([warmup_linear(s / 100, 0.05) for s in range(101)], recorded, rtol=0, atol=1e-12)
    for whole in (True, False):  # 5 % of 100 steps are whole steps
        ours = WarmupLinear(total_steps=100, warmup=0.05, whole=whole)
        np.testing.assert_allclose([ours.multiplier(s) for s in range(101)], recorded, rtol=0, atol=1e-12)
    short = WarmupLinear(total_steps=3, warmup=0.05, whole=False), WarmupLinear(total_steps=3, warmup=0.05)
    assert [schedule.multiplier(0) for schedule in short] == [0, 1], "a fraction of a step is still a warm-up"
    assert WarmupLinear(total_steps=40, warmup=4, whole=False).multiplier(2) == pytest.approx(0.5)
    assert [Constant().multiplier(step) for step in (0, 10**6)] == [1, 1]


def test_together_is_one_by_one():
    """Many tensors in one call, some without a gradient now and then, as each alone."""
    generator = torch.Generator().manual_seed(0)
    start = [torch.randn(shape, generator=generator) for shape in ((3, 2), (4,), (2, 2, 2))]
    together = [x.clone().requires_grad_() for x in start]
    alone = [x.clone().requires_grad_() for x in start]
    one, many = BertAdam(together, lr=0.1), [BertAdam([x], lr=0.1) for x in alone]
    for step in range(6):
        for number, (x, y) in enumerate(zip(together, alone, strict=True)):
            x.grad = None if number == 1 and step % 2 else torch.randn(x.shape, generator=generator) * 3
            y.grad = x.grad
        one.step()
        for optimizer in many:
            optimizer.step()
    for x, y in zip(together, alone, strict=True):
        torch.testing.assert_close(x, y, rtol=1e-6, atol=1e-7)


def test_resume_is_bit_for_bit():
    points, gradients = _problem()
    optimizer = BertAdam(points.values(), lr=0.1)
    for _ in range(3):
        gradients()
        optimizer.step()
    saved, state = [p.detach().clone() for p in points.values()], copy.deepcopy(optimizer.state_dict())
    again, gradients_again = _problem()
    for point, value in zip(again.values(), saved, strict=True):
        point.data.copy_(value)
    resumed = BertAdam(again.values(), lr=0.3)
    resumed.load_state_dict(state)
    for _ in range(3):
        gradients()
        optimizer.step()
        gradients_again()
        resumed.step()
    assert all(torch.equal(a, b) for a, b in zip(points.values(), again.values(), strict=True))


@pytest.mark.parametrize(("use", "cls"), [("AdamW", "AdamW"), ("Adam", "Adam"), ("BertAdam", "BertAdam")])
def test_a_recipe_names_the_optimizer(use, cls):
    named = [("model.text.a", torch.zeros(2, 2)), ("model.head.LayerNorm.weight", torch.zeros(2))]
    named = [(name, tensor.requires_grad_()) for name, tensor in named]
    spec = OptimizerSpec(use=use, lr={"backbone": 0.1, "rest": 0.2}, weight_decay=0.03, eps=1e-5)
    optimizer = build_optimizer(named, **spec.model_dump())
    assert type(optimizer).__name__ == cls
    kept = [(g["lr"], g["weight_decay"], g["eps"], tuple(g["betas"])) for g in optimizer.param_groups]
    assert kept == [(0.1, 0.03, 1e-5, (0.9, 0.999)), (0.2, 0.0, 1e-5, (0.9, 0.999))]


def test_tensors_are_clipped_unless_a_recipe_says_no():
    given = {"model.head.weight": torch.zeros(2, 2).requires_grad_()}
    for chosen, limit in (({}, 1.0), ({"tensor_norm": None}, None)):
        spec = OptimizerSpec.model_validate({"use": "BertAdam", "lr": 1e-3} | chosen)
        assert build_optimizer(given.items(), **spec.model_dump()).defaults["max_grad_norm"] == limit


def test_errors():
    with pytest.raises(ValueError, match="must not be negative"):
        BertAdam([torch.zeros(1, requires_grad=True)], lr=-1.0)
