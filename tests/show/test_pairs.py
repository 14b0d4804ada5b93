"""Systems of the pair track: bins by hand, and figures that draw the numbers of their frames where they belong."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy.stats import rankdata

from lab.show import pairs, predictions, systems
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
    assert list(frame) == ["from", "to", "n", "cosine", "score", "low", "high", "target"]
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


def test_bins_by_tag_frequency_by_hand():
    """Twelve pairs of rare tags in exactly the wrong order, twelve of frequent tags in the right one."""
    cosine = np.concatenate([np.linspace(0.0, 0.4, 12)[::-1], np.linspace(0.5, 0.9, 12)])
    score = np.linspace(0, 1, 24)
    frame = pairs.by_tag_frequency(result_of(cosine, score), np.repeat([2.0, 50.0], 12), bins=2)
    assert frame["frequency"].tolist() == [2, 50] and frame["n"].tolist() == [12, 12]
    assert frame["spearman"].tolist() == pytest.approx([-1, 1])
    assert frame["gap"].tolist() == pytest.approx([np.abs(2 * np.arange(12) - 11).mean() / 24, 0])
    ranks = rankdata(cosine) / 24
    shuffled = np.abs(ranks[:, None] - ranks).mean(axis=1)
    assert frame["chance"].tolist() == pytest.approx([shuffled[:12].mean(), shuffled[12:].mean()])
    assert frame["gap_low"].iloc[0] < frame["gap"].iloc[0] < frame["gap_high"].iloc[0]


def test_bins_with_too_few_pairs_are_left_out():
    given = result_of(np.arange(15.0), np.arange(15.0))
    frame = pairs.by_tag_frequency(given, np.repeat([1.0, 9.0], [3, 12]), bins=5)
    assert frame["frequency"].tolist() == [9]


def test_tag_frequency_counts_what_tags_were_learned_from(job, store):
    """aiac_rank1 learns tags from both parts, aiac_rank17 from the pointwise videos alone."""
    rows = predictions.of_pairs(job.folder).pairs[:5]
    videos = [store.video(row, frames=False) for row in range(len(store))]

    def expected(parts) -> list[float]:
        held = [tag for video in videos if video.part in parts for tag in video.tags]
        medians = [[np.median([held.count(tag) for tag in videos[row].tags]) for row in pair] for pair in rows]
        return [min(pair) for pair in medians]

    assert pairs.tag_frequency(job, store, rows).tolist() == expected(("pointwise", "pairwise"))
    other = type(job).load("aiac_rank17", "finetune", scale="laptop")
    assert pairs.tag_frequency(other, store, rows).tolist() == expected(("pointwise",))
    souped = type(job).load("aiac_rank1", "finetune_soup", "soup.uniform", scale="laptop")
    assert "init_from" not in souped.parents and "init_from_1" in souped.parents
    assert pairs.tag_frequency(souped, store, rows).tolist() == expected(("pointwise", "pairwise"))


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
    assert picture.frame["rank_of_cosine"].tolist() == pytest.approx([1, 1 / 3, 2 / 3])
    assert "Spearman −0.500 over 3 pairs" in picture.alt


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


def test_tag_figure_draws_order_left_and_gap_right(job, store):
    given = predictions.of_pairs(job.folder)
    picture = pairs.by_tags(job, given, store, NAME)
    (left, right), frame = picture.figure.axes, picture.frame
    for axis, value, label in ((left, "spearman", "within the bin, 95 %"), (right, "gap", "mean gap, 95 %")):
        assert drawn.line(axis, label) == pytest.approx(frame[["frequency", value]].to_numpy())
        assert drawn.bars(axis)[:, :, 1] == pytest.approx(frame[[f"{value}_low", f"{value}_high"]].to_numpy())
    assert drawn.line(right, "labels shuffled") == pytest.approx(frame[["frequency", "chance"]].to_numpy())
    score = json.loads(job.folder.metrics.read_text())["scores"]["validation"]["spearman"]
    assert f"All pairs together: Spearman {score:.3f}." in picture.caption


def test_worst_pairs_are_the_largest_gaps_of_rank(job, store):
    found = predictions.of_pairs(job.folder)
    gap = (rankdata(found.cosine) - rankdata(found.score)) / len(found.score)
    frame = pairs.worst(job.folder, store, count=3).frame
    order = np.argsort(-np.abs(gap), kind="stable")[:3]
    assert frame["rank gap"].abs().tolist() == pytest.approx(np.abs(gap[order]).tolist())
    first = frame.iloc[0]
    at = np.flatnonzero(np.isclose(gap, first["rank gap"]) & np.isclose(found.cosine, first["cosine"]))[0]
    assert first["label"] == found.score[at]
    assert store.video(int(found.pairs[at, 0]), frames=False).category in first["first video"]


def test_equal_scores_and_unknown_tags_draw_what_there_is():
    same = result_of(np.full(15, 0.5), np.full(15, 0.5))
    assert len(pairs.by_cosine(same)) == 1
    assert len(pairs.calibration(same, "x").frame) == 1
    frame = pairs.by_tag_frequency(same, np.zeros(15))
    assert frame["frequency"].tolist() == [0] and frame["n"].tolist() == [15]
    assert pairs.predicted(same, "x").frame["rank_of_label"].nunique() == 1
