"""Projected frames: numbers by hand, fitted outside the test parts, the same every time."""

import numpy as np
import pytest

from lib.features import projected


def test_two_numbers_by_hand():
    """Corners of a rectangle leaning along (1, 1): the first component is that diagonal, of unit variance."""
    frames = np.array([[3.0, 30], [-3, -30], [1, -10], [-1, 10]])  # mean 0, spread sqrt(5) and 10 sqrt(5)
    mean, scale, components = projected.fit(frames, 2)
    assert mean == pytest.approx([0, 0]) and scale == pytest.approx([5**0.5, 10 * 5**0.5])
    # correlation (9 + 9 - 1 - 1) / 4 / 5 = 0.8: variances 1.8 and 0.2 along (1, 1) and (1, -1)
    diagonal = 0.5**0.5
    assert components[0] == pytest.approx([diagonal / 1.8**0.5, diagonal / 1.8**0.5])
    assert np.abs(components[1]) == pytest.approx([diagonal / 0.2**0.5] * 2, rel=1e-4)
    got = ((frames - mean) / scale) @ components.T
    assert got.T @ got / 4 == pytest.approx(np.eye(2), abs=1e-5)


def test_a_number_that_never_changes_and_too_few_components_give_zeros():
    frames = np.array([[1.0, 7], [3, 7]])
    mean, scale, components = projected.fit(frames, 3)
    got = ((frames - mean) / scale) @ components.T
    assert got.tolist() == [[-1, 0, 0], [1, 0, 0]]
