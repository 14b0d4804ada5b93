"""Overlaps by hand; which pairs are drawn; how overlaps become scores."""

import numpy as np
import pytest

from lab.corpora.emoji.items import Emoji
from lab.corpora.emoji.labels import CAP, LITTLE, MUCH, NEAR, SHARES, Levels, choose, overlap
from lab.corpora.twin.random import facts


def test_overlap_is_the_jaccard_of_words_weighted_by_rarity():
    words = [["red Heart"], ["heart", "blue"], ["sun"], ["sun", "heart"]]
    some = [
        Emoji(str(n), "", "", {"en": w, "zh": ["x"], "ja": ["y"] if n < 2 else []}, 0, 0, 0)
        for n, w in enumerate(words)
    ]
    found = overlap(some, ["en", "ja"])
    heart, sun, once = np.log(4 / 3), np.log(2), np.log(4)
    assert found[0, 1] == pytest.approx(
        (heart + sun) / (heart + 2 * once + sun)
    )  # y of ja, in two of four, weighs as sun
    assert found[2, 3] == pytest.approx(sun / (sun + heart))
    assert found[0, 2] == 0 and np.allclose(found, found.T) and np.allclose(np.diag(found), 1)


def corpus(n: int = 120) -> tuple[list[Emoji], np.ndarray]:
    rng = np.random.default_rng(0)
    some = [
        Emoji(str(k), "", "", {}, 0, k % 40 if k % 3 else 99, 0, "test_b" if k % 4 == 0 else "pairwise", k % 5)
        for k in range(n)
    ]
    similarity = np.where(rng.random((n, n)) < 0.5, 0, rng.random((n, n)) * 3 * MUCH)
    return some, np.triu(similarity, 1) + np.triu(similarity, 1).T


def test_pairs_are_different_of_one_part_and_keep_their_shares():
    some, similarity = corpus()
    pairs = choose(some, similarity, "pairwise", 400, np.random.default_rng(1))
    assert len({frozenset(pair) for pair in pairs.tolist()}) == 400 and (pairs[:, 0] < pairs[:, 1]).all()
    assert {some[row].part for row in pairs.ravel()} == {"pairwise"}
    kind = np.digitize(similarity[pairs[:, 0], pairs[:, 1]], (LITTLE, MUCH))
    assert np.bincount(kind).tolist() == [400 - 200 - 56, 56, 200] and SHARES == (0.5, 0.14)
    same = np.mean([some[i].fold == some[j].fold for i, j in pairs])
    assert same > 0.4 and NEAR > 1  # a fifth if it were not for NEAR
    large = np.array([some[i].subgroup == some[j].subgroup == 99 for i, j in pairs])
    assert (large & (kind == 2)).sum() <= CAP * 200


def test_where_a_kind_runs_out_the_next_one_fills_up():
    some, similarity = corpus()
    pairs = choose(some, similarity, "test_b", 10_000, np.random.default_rng(1))
    assert 0 < len(pairs) <= 30 * 29 / 2
    none = choose(some, 0 * similarity, "pairwise", 100, np.random.default_rng(1))
    assert len(none) == 100


def test_scores_have_the_shares_of_the_competition_and_keep_the_order():
    overlaps = np.concatenate([np.zeros(2000), LITTLE + np.random.default_rng(0).random(8000)])
    level = Levels(overlaps)
    score = level(overlaps)
    counts = np.array(facts("aiac2021")["score_counts"])
    shares = np.bincount(np.round(score * 20).astype(int), minlength=21)
    assert shares[0] == 2000
    assert shares[1:] / 8000 == pytest.approx(counts[1:] / counts[1:].sum(), abs=0.002)
    order = np.argsort(overlaps)
    assert (np.diff(score[order]) >= 0).all()
    assert level(np.array([LITTLE / 2, LITTLE, 9.0])).tolist() == [0.0, 0.05, 1.0]
