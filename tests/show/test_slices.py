"""Scores by kind of video: slices of the store, intervals by formula, and a figure of what the frame holds."""

import numpy as np
import pytest
from scipy import stats

from lab.show import predictions, slices, systems
from lib.data.store import Store
from lib.evaluation.metrics import spearman
from tests.show import drawn


@pytest.fixture(scope="module")
def jobs(world):
    return {name: systems.scored_job(world, name) for name in ("aiac_rank1", "wechat_baseline")}


@pytest.mark.parametrize("name", ["aiac_rank1", "wechat_baseline"])
def test_figure_draws_scores_intervals_and_the_whole(jobs, name):
    job = jobs[name]
    picture = slices.slices(job)
    axis, whole, parts = picture.figure.axes[0], picture.frame.iloc[0], picture.frame.iloc[1:]
    assert drawn.line(axis, "score")[:, 0] == pytest.approx(parts["score"].to_numpy())
    assert drawn.bars(axis)[:, :, 0] == pytest.approx(parts[["low", "high"]].to_numpy())
    assert drawn.bars(axis)[:, 0, 1].tolist() == drawn.line(axis, "score")[:, 1].tolist() == list(range(len(parts)))
    labels = [f"{row.by}: {row.slice}  (n = {row.n})" for row in parts.itertuples()]
    assert drawn.ticks(axis) == labels and axis.get_ylim()[0] > axis.get_ylim()[1]
    (dotted,) = [line for line in axis.lines if line.get_linestyle() == ":"]
    assert set(dotted.get_xdata()) == {whole["score"]} and whole["by"] == "all"


def test_slices_of_pairs_are_those_of_the_store(jobs):
    job = jobs["aiac_rank1"]
    found, store = predictions.of_pairs(job.folder), Store.open(job.corpus.store)
    frame, metric = slices.slice_scores(job)
    rows = frame.set_index(["by", "slice"])
    seen = rows.loc[("training", "shares a video with it")]
    assert metric == "Spearman" and seen["n"] == found.seen.sum()
    assert seen["score"] == spearman(found.cosine[found.seen], found.score[found.seen])
    videos = {int(row): store.video(int(row), frames=False) for row in np.unique(found.pairs)}
    spoken = np.array([all(videos[int(row)].asr for row in pair) for pair in found.pairs])
    assert rows.loc[("speech", "in both"), "n"] == spoken.sum()
    assert frame["n"].iloc[0] == len(found.score) and (frame["n"] >= slices.LEAST).all()
    shorter = [min(len(videos[int(row)].title) for row in pair) for pair in found.pairs]
    expected = slices._thirds("shorter title", np.array(shorter), "characters")
    assert rows.loc["shorter title", "n"].to_dict() == {which: mask.sum() for _, which, mask in expected}
    frames = [store.n_frames[pair].min() for pair in found.pairs]
    expected = slices._thirds("fewer frames", np.array(frames), "frames")
    assert rows.loc["fewer frames", "n"].to_dict() == {which: mask.sum() for _, which, mask in expected}


def test_slices_of_classes_are_shares_of_right_answers(jobs):
    job = jobs["wechat_baseline"]
    found, store = predictions.of_classes(job.folder), Store.open(job.corpus.store)
    frame, metric = slices.slice_scores(job)
    spoken = np.array([bool(store.video(int(row), frames=False).asr) for row in found.rows])
    right = found.predicted == found.truth
    row = frame.set_index(["by", "slice"]).loc[("speech", "there")]
    assert metric == "share of right answers" and frame["score"].iloc[0] == right.mean()
    assert (row["n"], row["score"]) == (spoken.sum(), right[spoken].mean())


def test_interval_of_spearman_by_formula():
    """n = 103: tanh(atanh(r) ± 1.96 · 1.03 / 10)."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=103)
    y = x + rng.normal(size=103)
    n, r, low, high = slices.spearman_with_interval(x, y)
    assert (n, r) == (103, spearman(x, y))
    assert [low, high] == pytest.approx([np.tanh(np.arctanh(r) + sign * 0.20188) for sign in (-1, 1)], abs=1e-4)


def test_thirds_by_hand():
    def found(values):
        return [(name, int(mask.sum())) for _, name, mask in slices._thirds("x", np.array(values), "frames")]

    assert found([1] * 12 + [5] * 12 + [9] * 12) == [("1 frames", 12), ("5 frames", 12), ("9 frames", 12)]
    assert found(range(60)) == [("0 to 19 frames", 20), ("20 to 39 frames", 20), ("40 to 59 frames", 20)]
    assert found([3] * 40) == [("3 frames", 40)]
    assert found([3] * 30 + [4] * 5) == [("3 frames", 30)]  # five videos say nothing


def test_wilson_interval_against_scipy():
    expected = stats.binomtest(7, 20).proportion_ci(method="wilson")
    assert slices._share(np.arange(20) < 7)[1:] == pytest.approx((0.35, expected.low, expected.high), abs=1e-6)
