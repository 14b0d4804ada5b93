"""A medium twin against the published statistics; targets, tolerances and sources are in ``lab/corpora/twin/facts.json``."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from lab.corpora.twin import calibration
from lab.corpora.twin import text as texts
from lab.corpora.twin.random import targets
from lab.corpora.twin.scores import mean_f1


@pytest.fixture(scope="module")
def measured(pair_twin, class_twin) -> dict[str, dict]:
    rows = calibration.of_pairs(pair_twin) + calibration.of_classes(class_twin)
    return {row["statistic"]: row for row in rows}


@pytest.mark.parametrize("statistic", [*targets("aiac2021"), *targets("wechat2022")])
def test_twin_has_the_published_statistic(measured, statistic):
    row = measured[statistic]
    assert row["low"] <= row["measured"] <= row["high"], (
        f"{statistic}: {row['measured']:.4f}, target {row['target']}, allowed {row['low']} to {row['high']}"
    )


def test_titles_have_the_lengths_that_were_drawn_for_them(pair_twin):
    """The histogram is taken of the drawn lengths; the strings follow them unless 40 words are too few."""
    rows = np.arange(0, 20_000, 40)
    lengths = texts.title_lengths(0, rows)
    written = np.array([len(title) for title in pair_twin.writer.titles(pair_twin.writer.told(rows), lengths)])
    assert (written == lengths).mean() > 0.98 and (written <= lengths).all()
    asr = texts.asr_lengths(0, rows)
    assert [len(text) for text in pair_twin.writer.speech(pair_twin.writer.told(rows), asr)] == asr.tolist()


def test_both_modalities_carry_part_of_the_score(pair_twin):
    """Raw baselines of the calibration at this size: mean-frame cosine .34, bag-of-words cosine of titles .44, oracle .945.

    Character bigrams stand in for words here, so the text is given more room.
    """
    chosen = np.random.default_rng(0).permutation(len(pair_twin.i))[:1200]
    i, j = pair_twin.i[chosen], pair_twin.j[chosen]
    rows, flat = np.unique(np.concatenate([i, j]), return_inverse=True)
    mean = np.stack([film.astype(np.float32).mean(axis=0) for film in pair_twin.camera.film(rows)])
    mean -= mean.mean(axis=0)
    mean /= np.linalg.norm(mean, axis=1, keepdims=True)
    titles = pair_twin.writer.titles(pair_twin.writer.told(rows), texts.title_lengths(0, rows))
    bigrams = [{title[k : k + 2] for k in range(len(title) - 1)} for title in titles]
    a, b = flat[: len(i)], flat[len(i) :]
    seen = (mean[a] * mean[b]).sum(axis=1)
    read = [len(bigrams[p] & bigrams[q]) / max(1, len(bigrams[p] | bigrams[q])) for p, q in zip(a, b, strict=True)]
    score = pair_twin.score[chosen]
    assert spearmanr(seen, score).statistic == pytest.approx(0.34, abs=0.08)
    assert spearmanr(read, score).statistic == pytest.approx(0.44, abs=0.10)


def test_planted_effects_have_the_stated_shares(pair_twin, class_twin):
    """Shares of the generative model: titles .06, careless tags .21, categories .085 (half of them perhaps to themselves);
    class corpus: titles .35, frames .10, humming .15 of the .70 that speak (facts.json, missing_shares)."""
    rows = np.arange(20_000)
    share = {name: flag.mean() for name, flag in pair_twin.effects(rows).items()}
    assert share["uninformative_title"] == pytest.approx(0.06, abs=0.01)
    assert share["careless_tags"] == pytest.approx(0.21, abs=0.015)
    assert 0.05 < share["wrong_category"] <= 0.085
    share = {name: flag.mean() for name, flag in class_twin.effects(rows).items()}
    assert share["uninformative_title"] == pytest.approx(0.35, abs=0.015)
    assert share["uninformative_frames"] == pytest.approx(0.10, abs=0.01)
    assert share["filler_speech"] == pytest.approx(0.15 * 0.70, abs=0.01)
    assert share["speech_missing"] == pytest.approx(0.30, abs=0.015)


def test_flagged_frames_say_nothing_of_their_video(class_twin):
    """Cosine of what the camera is shown with the truth: high unless flagged."""
    rows = np.arange(4000)
    blank = class_twin.camera.blank(rows)
    view = class_twin.camera._view(rows, blank)[:, :24]
    agreement = (view * class_twin.world.y(rows)).sum(axis=1)
    assert agreement[~blank].mean() > 0.8 and abs(agreement[blank].mean()) < 0.15


def test_mean_f1_by_hand():
    """Truth 0 0 1 2, answers 0 1 1 2, classes 0 and 1 under one parent: level 2 micro 3/4, macro (2/3 + 2/3 + 1)/3 = 7/9;
    level 1 all right. (3/4 + 7/9 + 1 + 1) / 4 = 127/144."""
    answer = mean_f1(np.array([0, 0, 1, 2]), np.array([0, 1, 1, 2]), np.array([0, 0, 1]))
    assert answer == pytest.approx(127 / 144)
