"""Pairs in bins: every number by hand, and the page that shows them."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import rankdata

from lab.show import check, figures_pairs, pages_data, pair_bins, predictions, style
from lab.show.predictions import PairPredictions
from lab.show.site import Site
from lib.data.store import Store
from lib.evaluation.metrics import spearman

NAME = "aiac_rank1"


def result_of(cosine, score, target=None) -> PairPredictions:
    pairs = np.stack([np.arange(len(cosine)), np.arange(len(cosine)) + 100], axis=1)
    given, truth, label = (np.asarray(x, np.float64) for x in (cosine, score, score if target is None else target))
    return PairPredictions(pairs, given, truth, label, np.zeros(len(cosine), bool))


@pytest.fixture(scope="module")
def job(world):
    return pages_data.scored_job(world, NAME)


@pytest.fixture(scope="module")
def store(job):
    return Store.open(job.corpus.store)


def test_bins_by_cosine_by_hand():
    frame = pair_bins.by_cosine(result_of([0.9, 0.1, 0.3, 0.7], [1.0, 0.0, 0.5, 0.5], [0.8, 0.1, 0.2, 0.6]), bins=2)
    assert frame[["from", "to", "n"]].to_numpy().tolist() == [[0.1, 0.3, 2], [0.7, 0.9, 2]]
    assert frame["cosine"].tolist() == pytest.approx([0.2, 0.8])
    assert frame["score"].tolist() == pytest.approx([0.25, 0.75])
    assert frame["target"].tolist() == pytest.approx([0.15, 0.7])
    assert frame["low"].tolist() == pytest.approx([0.0, 0.5]) and frame["high"].tolist() == pytest.approx([0.5, 1.0])
    assert pair_bins.calibration_error(frame) == pytest.approx(0.05)
    assert pair_bins.calibration_error(frame, "target") == pytest.approx(0.075)


def test_intervals_keep_the_pairs_of_one_first_video_together():
    """All pairs of a bin have the same first video: no resampling of videos changes its mean."""
    given = result_of([0.1, 0.2, 0.8, 0.9], [0.0, 1.0, 0.0, 1.0])
    given.pairs[:, 0] = [1, 1, 2, 2]
    frame = pair_bins.by_cosine(given, bins=2)
    assert frame["low"].tolist() == frame["high"].tolist() == [0.5, 0.5]


def test_bins_by_tag_frequency_by_hand():
    """Twelve pairs of rare tags in exactly the wrong order, twelve of frequent tags in the right one."""
    cosine = np.concatenate([np.linspace(0.0, 0.4, 12)[::-1], np.linspace(0.5, 0.9, 12)])
    score = np.linspace(0, 1, 24)
    frame = pair_bins.by_tag_frequency(result_of(cosine, score), np.repeat([2.0, 50.0], 12), bins=2)
    assert frame["frequency"].tolist() == [2, 50] and frame["n"].tolist() == [12, 12]
    assert frame["spearman"].tolist() == pytest.approx([-1, 1])
    assert frame["gap"].tolist() == pytest.approx([np.abs(2 * np.arange(12) - 11).mean() / 24, 0])
    ranks = rankdata(cosine) / 24
    shuffled = np.abs(ranks[:, None] - ranks).mean(axis=1)
    assert frame["chance"].tolist() == pytest.approx([shuffled[:12].mean(), shuffled[12:].mean()])
    assert frame["gap_low"].iloc[0] < frame["gap"].iloc[0] < frame["gap_high"].iloc[0]


def test_bins_with_too_few_pairs_are_left_out():
    frame = pair_bins.by_tag_frequency(
        result_of(np.arange(15.0), np.arange(15.0)), np.repeat([1.0, 9.0], [3, 12]), bins=5
    )
    assert frame["frequency"].tolist() == [9]


def test_tag_frequency_counts_what_tags_were_learned_from(job, store):
    """aiac_rank1 learns tags from both parts, aiac_rank17 from the pointwise videos alone."""
    pairs = predictions.of_pairs(job.folder).pairs[:5]
    videos = [store.video(row, frames=False) for row in range(len(store))]

    def expected(parts) -> list[float]:
        held = [tag for video in videos if video.part in parts for tag in video.tags]
        medians = [[np.median([held.count(tag) for tag in videos[row].tags]) for row in pair] for pair in pairs]
        return [min(pair) for pair in medians]

    assert pair_bins.tag_frequency(job, store, pairs).tolist() == expected(("pointwise", "pairwise"))
    other = type(job).load("aiac_rank17", "finetune", scale="laptop")
    assert pair_bins.tag_frequency(other, store, pairs).tolist() == expected(("pointwise",))
    souped = type(job).load("aiac_rank1", "finetune_soup", "soup.uniform", scale="laptop")
    assert "init_from" not in souped.parents and "init_from_1" in souped.parents
    assert pair_bins.tag_frequency(souped, store, pairs).tolist() == expected(("pointwise", "pairwise"))


def test_figures_are_the_same_twice():
    rng = np.random.default_rng(0)
    given = result_of(rng.random(90), rng.random(90), rng.random(90))
    cosines = pair_bins.by_cosine(given)
    tags = pair_bins.by_tag_frequency(given, rng.integers(0, 60, 90).astype(float))
    for draw in (
        lambda: figures_pairs.similarity_calibration(cosines, given.cosine),
        lambda: figures_pairs.by_tag_frequency(tags, 0.4),
        lambda: figures_pairs.by_tag_frequency(tags.head(0), 0.4),
    ):
        assert style.svg(draw()) == style.svg(draw())


def test_label_of_the_loss_is_drawn_only_where_it_is_another():
    def legend(target) -> list[str]:
        given = result_of([0.1, 0.2, 0.3], [0.0, 0.5, 1.0], target)
        figure = figures_pairs.similarity_calibration(pair_bins.by_cosine(given, 3), given.cosine)
        return figure.axes[0].get_legend_handles_labels()[1]

    assert legend(None) == ["human score, 95 %", "cosine = score"]
    assert "label as the loss saw it" in legend([0.1, 0.4, 0.9])


def test_page_of_errors_has_both_and_says_what_the_bins_say(world, job, store, tmp_path):
    site = Site(tmp_path / "out", [("home", "index.html")])
    pages_data.errors(site, world, NAME)
    site.html("index", "<p>x</p>", "home")
    assert check.problems(site.finish()) == []
    told = (tmp_path / "out" / f"errors_{NAME}.md").read_text(encoding="utf-8")
    frame = pd.read_csv(tmp_path / "out" / "tables" / f"similarity_calibration_{NAME}.csv")
    given = predictions.of_pairs(job.folder)
    assert sum(frame["n"].tolist()) == len(given.score)
    assert np.average(frame["score"], weights=frame["n"]) == pytest.approx(given.score.mean())
    assert f"of its bin by {pair_bins.calibration_error(frame):.2f} on average." in told
    tags = pd.read_csv(tmp_path / "out" / "tables" / f"tag_frequency_{NAME}.csv")
    assert all(f"| {value:.3f}<br>" in told for value in tags["gap"])
    assert spearman(given.cosine, given.score) == pytest.approx(
        job.folder.read_metrics()["scores"]["validation"]["spearman"]
    )
