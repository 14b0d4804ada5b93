"""Classes one by one, thirds, kinds of mistakes: by hand and against scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import f1_score

from lab.show.longtail import (
    per_class,
    scores_of_groups,
    thirds_of_classes,
    thirds_of_videos,
    wrong_answers,
)
from lib.evaluation import intervals
from lib.evaluation.intervals import Z, resampled_videos

TREE = np.array([0, 0, 0, 1, 1, 2])  # three siblings, two siblings, an only child
TRUTH = np.array([0, 0, 0, 1, 1, 3, 3, 4])
SAID = np.array([0, 0, 1, 0, 3, 3, 4, 3])


def test_per_class_by_hand():
    """Class 0: 3 videos, 3 given, 2 hits. Class 2 and 5 are on neither side. Class 4: one video, given to another."""
    frame = per_class(TRUTH, SAID, 6)
    assert frame["videos"].tolist() == [3, 2, 0, 2, 1, 0] and frame["given"].tolist() == [3, 1, 0, 3, 1, 0]
    assert frame["hits"].tolist() == [2, 0, 0, 1, 0, 0]
    nan = float("nan")
    assert frame["precision"].tolist() == pytest.approx([2 / 3, 0, nan, 1 / 3, 0, nan], nan_ok=True)
    assert frame["recall"].tolist() == pytest.approx([2 / 3, 0, nan, 1 / 2, 0, nan], nan_ok=True)
    assert frame["f1"].tolist() == pytest.approx([2 / 3, 0, nan, 2 / 5, 0, nan], nan_ok=True)
    assert frame["f1"].mean() == pytest.approx(f1_score(TRUTH, SAID, average="macro"))


def test_thirds_of_classes_break_ties_by_index_and_are_as_even_as_can_be():
    assert thirds_of_classes(np.array([5, 5, 5, 5])).tolist() == [0, 0, 1, 2]
    assert np.bincount(thirds_of_classes(np.arange(200))).tolist() == [67, 67, 66]


def test_thirds_of_videos_by_hand():
    """Of 12 training videos the first class has 6, with their middle at 3 in the first third; the next have 7.5, 10, 11.5."""
    assert thirds_of_videos(np.array([6, 3, 2, 1, 0])).tolist() == [0, 1, 2, 2, 2]
    assert thirds_of_videos(np.array([1, 1, 1])).tolist() == [0, 1, 2]
    assert thirds_of_videos(np.array([0, 0])).tolist() == [2, 2]


def test_groups_by_hand():
    """Head {0, 1}: F1 2/3 and 0, 2 of 5 videos right. Middle {2, 3}: only 3 occurs. Tail {4, 5}: 4 occurs, never right."""
    frame = scores_of_groups(TRUTH, SAID, np.array([0, 0, 1, 1, 2, 2]))
    assert frame["slice"].tolist() == ["head", "middle", "tail"] and frame["n"].tolist() == [5, 2, 1]
    assert frame["classes"].tolist() == [2, 2, 2] and frame["counted"].tolist() == [2, 1, 1]
    assert frame["f1"].tolist() == pytest.approx([1 / 3, 2 / 5, 0])
    assert frame["recall"].tolist() == pytest.approx([2 / 5, 1 / 2, 0])
    assert frame["f1_low"].isna().tolist() == [False, False, True], "nothing of the tail is right: no spread"
    assert (frame["f1_low"] <= frame["f1"])[:2].all() and (frame["f1"] <= frame["f1_high"])[:2].all()
    assert frame["recall_low"].iloc[2] == 0 and frame["recall_high"].iloc[2] == pytest.approx(Z**2 / (1 + Z**2))


def test_interval_of_a_group_is_that_of_scikit_learns_f1(monkeypatch):
    monkeypatch.setattr(intervals, "DRAWS", 100)
    rng = np.random.default_rng(0)
    truth, said = rng.integers(0, 4, (2, 40))
    row = scores_of_groups(truth, said, np.zeros(4, int), ("all",), seed=3).iloc[0]
    draws = [f1_score(truth[i], said[i], average="macro", zero_division=0.0) for i in resampled_videos(40, 3)]
    assert (row["f1_low"], row["f1_high"]) == pytest.approx(tuple(np.percentile(draws, [2.5, 97.5])))


def test_a_group_nobody_is_in_has_no_score():
    frame = scores_of_groups(np.array([0, 0]), np.array([0, 0]), np.array([0, 1]), ("some", "none"))
    assert frame["f1"].tolist() == pytest.approx([1, float("nan")], nan_ok=True)
    assert np.isnan(frame["recall_low"].iloc[1]) and frame["n"].tolist() == [2, 0]


def test_wrong_answers_by_hand():
    """0 as 1, 1 as 0, 3 as 4, 4 as 3 stay with their siblings; 1 as 3 does not. By chance 2/5 of 0 and 1, 1/5 of 3 and 4."""
    found = wrong_answers(TRUTH, SAID, TREE)
    assert (found["wrong"], found["siblings"]) == (5, 4)
    assert found["share"] == pytest.approx(4 / 5) and found["chance"] == pytest.approx((3 * 2 / 5 + 2 * 1 / 5) / 5)
    assert 0 <= found["low"] <= 4 / 5 <= found["high"] <= 1


def test_no_wrong_answer_has_no_share():
    found = wrong_answers(TRUTH, TRUTH, TREE)
    assert found["wrong"] == 0 and np.isnan([found["share"], found["low"], found["chance"]]).all()
