"""Seeds: the same everywhere, different for different names."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from lib.training.seed import generator_for, seed_everything, seed_for, seed_step


def test_fixed_for_ever():
    """Recorded once: a change would change every run's results."""
    assert seed_for(0, "corrupt", 1) == 1237706869731993871
    seed_step(0, 1, 0)
    assert torch.rand(1).item() == 0.43768489360809326


@given(st.integers(0, 2**31), st.integers(0, 10**6), st.integers(0, 64))
def test_streams_differ(seed, step, process):
    numbers = {seed_for(seed, name, step, process) for name in ("step", "corrupt")}
    numbers |= {seed_for(seed, "step", step, process + 1), seed_for(seed, "step", step + 1, process)}
    assert len(numbers | {seed_for(seed + 1, "step", step, process)}) == 5
    assert 0 <= seed_for(seed, step) < 2**63


def test_names_are_kept_apart():
    assert seed_for(1, 23) != seed_for(12, 3)


def test_generators_are_independent_of_the_global_stream():
    seed_everything(3)
    first = torch.rand(4, generator=generator_for(1, "a"))
    torch.rand(100)
    assert torch.equal(first, torch.rand(4, generator=generator_for(1, "a")))
