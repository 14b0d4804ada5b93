"""Layers that run again in the backward pass, or compiled: the same loss and gradients, by other means."""

import functools

import torch
from torch._dynamo.testing import CompileCounter

from lib.objectives import MaskedTokens
from lib.objectives.mix import ObjectiveMix
from lib.training.layers import prepare_layers
from lib.training.trainer import Task
from tests import small

LENGTHS = [([5, 7, 9], [3, 4, 2]), ([2, 3, 1], [5, 5, 6]), ([9, 4, 4], [1, 1, 2])]


def task() -> Task:
    """Two layers in the one stream, with dropout."""
    torch.manual_seed(0)
    model = small.single_stream()
    model.fusion = type(model.fusion)(f"tiny-2x{small.WIDTH}", small.WIDTH, small.WIDTH, layout="cls_first")
    return Task(
        model, ObjectiveMix({"tokens": (MaskedTokens(small.WIDTH, small.VOCABULARY, small.SPECIAL), 1.0)})
    ).train()


def gradients(ours: Task) -> list[torch.Tensor]:
    ours.zero_grad()
    for number, lengths in enumerate(LENGTHS):
        torch.manual_seed(number)
        batch = ours.mix.corrupt(small.batch(*lengths), torch.Generator().manual_seed(0))
        ours(batch)[0].backward()
    return [p.grad.clone() for p in ours.parameters() if p.grad is not None]


def calls(ours: Task) -> list[int]:
    """How often the inner part of each layer ran."""
    counts = []
    for layer in ours.model.get_submodule("fusion.encoder.layer"):
        counts.append([0])
        layer.attention.register_forward_hook(lambda *_, count=counts[-1]: count.__setitem__(0, count[0] + 1))
    gradients(ours)
    return [count for (count,) in counts]


def test_checkpointing_runs_layers_twice_for_the_same_gradients():
    plain, thrifty = task(), task()
    assert prepare_layers(thrifty, checkpointing=True) == 2 and prepare_layers(plain) == 0
    for expected, found in zip(gradients(plain), gradients(thrifty), strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-7)
    assert calls(plain) == [3, 3] and calls(thrifty) == [6, 6]


def test_one_program_for_all_layers_and_lengths(monkeypatch):
    counter = CompileCounter()
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend=counter))
    plain, fast = task(), task()
    assert prepare_layers(fast, compiled=True) == 2
    for expected, found in zip(gradients(plain), gradients(fast), strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
    assert counter.frame_count == 1
    assert list(plain.state_dict()) == list(fast.state_dict())
