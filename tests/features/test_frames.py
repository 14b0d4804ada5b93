"""Frame rules against the values the originals recorded and against their definitions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.features.frames import pick

RULES = ["linspace_round", "bin_centre", "floor_step", "head", "head_or_step", "random_sorted", "random_bin"]


@pytest.mark.parametrize(
    "n, expected",
    [(10, list(range(10))), (40, list(range(32))), (64, list(range(0, 64, 2))), (70, list(range(0, 64, 2)))],
)
def test_wechat_15_system_0_4_floor_step(n, expected):
    """Values of the WeChat specification, section 15, System 0, item 4."""
    assert pick(n, 32, "floor_step").tolist() == expected


def test_bin_centre_reaches_the_tail_that_floor_step_drops():
    assert pick(63, 32, "floor_step").max() == 31
    assert pick(63, 32, "bin_centre").max() >= 61


def test_linspace_round_rounds_half_to_even():
    """n = 65, 32 slots: (i + 0.5) * 64 / 32 = 2i + 1 exactly."""
    assert pick(65, 32, "linspace_round").tolist() == list(range(1, 65, 2))


@given(n=st.integers(1, 200), slots=st.integers(1, 40), rule=st.sampled_from(RULES))
def test_every_rule_gives_ascending_valid_frames(n, slots, rule):
    """Distinct ones too, except for the two rules whose formula can name a frame twice when n is barely above the slots."""
    index = pick(n, slots, rule, np.random.default_rng(0))
    assert len(index) == min(n, slots)
    assert (np.diff(index) >= (0 if rule in ("linspace_round", "random_bin") else 1)).all()
    assert index[0] >= 0 and index[-1] < n


def test_random_rules_need_a_generator_and_unknown_rules_fail():
    with pytest.raises(ValueError, match="needs a random generator"):
        pick(50, 8, "random_bin")
    with pytest.raises(ValueError, match="unknown frame rule"):
        pick(50, 8, "sideways", np.random.default_rng(0))
    with pytest.raises(ValueError, match="at least one frame"):
        pick(0, 8, "head")
