"""Reliability, calibration error and likelihood by hand."""

import numpy as np
import pytest

from lab.show import calibration as module
from lab.show.calibration import ACCURACY, CHANCE, CONFIDENCE, ERROR, expected_calibration_error, reliability


def calibration(logits, truth):
    """By name of the fact."""
    return module.calibration(logits, truth).set_index("what")


def logits_of(probabilities) -> np.ndarray:
    return np.log(np.asarray(probabilities, float))


def test_reliability_by_hand():
    """Two bins: 0.4 wrong below; 0.5 (on the border, so above), 0.9 and 1.0 with two of three right."""
    frame = reliability(np.array([0.4, 0.5, 0.9, 1.0]), np.array([False, True, False, True]), bins=2)
    assert frame["n"].tolist() == [1, 3] and frame["from"].tolist() == [0, 0.5] and frame["to"].tolist() == [0.5, 1]
    assert frame["confidence"].tolist() == pytest.approx([0.4, 0.8])
    assert frame["accuracy"].tolist() == pytest.approx([0, 2 / 3])


def test_expected_calibration_error_by_hand():
    """A quarter of the videos is 0.4 off, three quarters are 0.8 - 2/3 off."""
    value = expected_calibration_error(np.array([0.4, 0.5, 0.9, 1.0]), np.array([False, True, False, True]), bins=2)
    assert value == pytest.approx(0.25 * 0.4 + 0.75 * (0.8 - 2 / 3))
    assert expected_calibration_error(np.ones(3), np.ones(3, bool)) == 0


def test_empty_bins_have_no_means():
    frame = reliability(np.array([0.99]), np.array([True]))
    assert len(frame) == 15 and frame["n"].tolist() == [0] * 14 + [1]
    assert frame["accuracy"].isna().sum() == 14


def test_likelihood_and_confidence_by_hand():
    """Probabilities of the truth 0.7 and 0.2; largest ones 0.7 and 0.8, the first right."""
    found = calibration(logits_of([[0.7, 0.3], [0.2, 0.8]]), np.array([0, 0]))
    assert found.loc["negative log likelihood", "value"] == pytest.approx(-(np.log(0.7) + np.log(0.2)) / 2)
    assert found.loc[[CONFIDENCE, ACCURACY, ERROR], "value"].tolist() == pytest.approx([0.75, 0.5, (0.3 + 0.8) / 2])


def test_likelihood_of_huge_logits_is_finite():
    found = calibration(np.array([[1e4, 0.0], [0.0, 1e4]], np.float32), np.array([0, 0]))
    assert found.loc[["negative log likelihood", CONFIDENCE], "value"].tolist() == pytest.approx([5e3, 1])


def test_interval_covers_zero_for_a_calibrated_model_and_not_for_an_overconfident_one():
    """Two classes, right with exactly the probability that is said, or, for the other model, always half the time."""
    rng = np.random.default_rng(0)
    sure = rng.uniform(0.5, 1, 600)
    logits = logits_of(np.stack([sure, 1 - sure], axis=1))
    calibrated = calibration(logits, (rng.random(600) >= sure).astype(int))
    most = calibrated.loc[CHANCE, "value"]
    assert calibrated.loc[ERROR, "low"] == 0 and calibrated.loc[ERROR, "value"] < most
    careless = calibration(logits, (rng.random(600) >= 0.5).astype(int))
    error = careless.loc[ERROR]
    assert most < error["low"] < error["value"] < error["high"]
    assert 0 < careless.loc["the same, if its confidence were exact", "value"] < careless.loc[CHANCE, "value"]


def test_nothing_to_calibrate():
    with pytest.raises(ValueError, match="at least one video"):
        calibration(np.zeros((0, 3)), np.zeros(0, int))
