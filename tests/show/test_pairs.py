"""Systems of the pair track: bins by hand, and figures that draw the numbers of their frames where they belong."""

import numpy as np
import pandas as pd
import pytest

from lab.show import pairs, systems
from lab.show.predictions import PairPredictions
from lib.data.store import Store
from tests.show import drawn

NAME = "aiac_rank1"


def result_of(cosine, score, target=None) -> PairPredictions:
    rows = np.stack([np.arange(len(cosine)), np.arange(len(cosine)) + 100], axis=1)
    given, truth, label = (np.asarray(x, np.float64) for x in (cosine, score, score if target is None else target))
    return PairPredictions(rows, given, truth, label, np.zeros(len(cosine), bool))


@pytest.fixture(scope="module")
def job(world):
    return systems.scored_job(world, NAME)


@pytest.fixture(scope="module")
def store(job):
    return Store.open(job.corpus.store)


# ---- bins


def test_bins_by_cosine_by_hand():
    frame = pairs.by_cosine(result_of([0.9, 0.1, 0.3, 0.7], [1.0, 0.0, 0.5, 0.5], [0.8, 0.1, 0.2, 0.6]), bins=2)
    assert list(frame) == ["from", "to", "n", "cosine", "score", "target", "low", "high"]
    assert frame[["from", "to", "n"]].to_numpy().tolist() == [[0.1, 0.3, 2], [0.7, 0.9, 2]]
    assert frame["cosine"].tolist() == pytest.approx([0.2, 0.8])
    assert frame["score"].tolist() == pytest.approx([0.25, 0.75])
    assert frame["target"].tolist() == pytest.approx([0.15, 0.7])
    assert frame["low"].tolist() == pytest.approx([0.0, 0.5]) and frame["high"].tolist() == pytest.approx([0.5, 1.0])
    assert pairs.calibration_error(frame) == pytest.approx(0.05)
    assert pairs.calibration_error(frame, "target") == pytest.approx(0.075)


def test_calibration_error_weighs_bins_by_their_pairs():
    frame = pd.DataFrame({"cosine": [0.0, 1.0], "score": [0.4, 1.0], "n": [1, 3]})
    assert pairs.calibration_error(frame) == pytest.approx(0.1)


def test_intervals_keep_the_pairs_of_one_first_video_together():
    """All pairs of a bin have the same first video: no resampling of videos changes its mean."""
    given = result_of([0.1, 0.2, 0.8, 0.9], [0.0, 1.0, 0.0, 1.0])
    given.pairs[:, 0] = [1, 1, 2, 2]
    frame = pairs.by_cosine(given, bins=2)
    assert frame["low"].tolist() == frame["high"].tolist() == [0.5, 0.5]


# ---- figures


def test_predicted_draws_every_pair_as_value_and_as_rank():
    given = result_of([0.9, -0.2, 0.4], [0.25, 0.5, 1.0])
    picture = pairs.predicted(given, "x")
    left, right = picture.figure.axes
    assert drawn.dots(left).tolist() == [[0.25, 0.9], [0.5, -0.2], [1.0, 0.4]]
    assert drawn.dots(right).ravel() == pytest.approx([1 / 3, 1, 2 / 3, 1 / 3, 1, 2 / 3])
    assert (left.get_xlabel(), left.get_ylabel()) == ("label of the corpus", "predicted cosine")
    assert (right.get_xlabel(), right.get_ylabel()) == ("rank of label", "rank of cosine")
    assert picture.frame["label"].tolist() == given.score.tolist()
    assert picture.frame["cosine"].tolist() == pytest.approx(given.cosine.tolist(), abs=1e-4)
    assert "Spearman −0.500 over 3 pairs" in picture.alt and "Drawn" not in picture.caption


def test_of_many_pairs_some_are_drawn_with_the_ranks_they_have_among_all(monkeypatch):
    monkeypatch.setattr(pairs, "DRAWN", 2)
    picture = pairs.predicted(result_of([0.9, -0.2, 0.4], [0.25, 0.5, 1.0]), "x")
    assert drawn.dots(picture.figure.axes[1]).ravel() == pytest.approx([1 / 3, 1, 1, 2 / 3])
    assert picture.frame["cosine"].tolist() == [0.9, 0.4] and "Spearman −0.500 over 3 pairs" in picture.alt
    assert picture.caption.endswith("2 of 3 pairs are drawn, evenly chosen.")


def test_calibration_draws_bins_intervals_and_the_label_of_the_loss_where_it_is_another():
    rng = np.random.default_rng(0)
    cosine, score = rng.random(40), rng.integers(21, size=40) / 20
    picture = pairs.calibration(result_of(cosine, score, score / 2), "x")
    axis, frame = picture.figure.axes[0], picture.frame
    assert drawn.line(axis, "label of the corpus, 95 %") == pytest.approx(frame[["cosine", "score"]].to_numpy())
    assert drawn.line(axis, "label as the loss saw it") == pytest.approx(frame[["cosine", "target"]].to_numpy())
    assert drawn.bars(axis)[:, :, 1] == pytest.approx(frame[["low", "high"]].to_numpy())
    assert drawn.bars(axis)[:, :, 0] == pytest.approx(frame[["cosine", "cosine"]].to_numpy())
    off, target = (np.average(abs(frame["cosine"] - frame[x]), weights=frame["n"]) for x in ("score", "target"))
    assert f"bin by bin: {off:.2f}, from the label that the loss saw {target:.2f}." in picture.caption
    plain = pairs.calibration(result_of(cosine, score), "x")
    assert drawn.words(plain.figure) == ["label of the corpus, 95 %", "cosine = label"]


def test_equal_scores_draw_what_there_is():
    same = result_of(np.full(15, 0.5), np.full(15, 0.5))
    assert len(pairs.by_cosine(same)) == 1
    assert len(pairs.calibration(same, "x").frame) == 1
    ranks = drawn.dots(pairs.predicted(same, "x").figure.axes[1])
    assert len(np.unique(ranks)) == 1
