"""The labelled test part: videos, pairs and labels that training never meets."""

from pathlib import Path

import numpy as np
import pytest

from lab.corpora.importing import import_corpus
from lab.corpora.twin import generate
from lab.corpora.twin.pairs import PairTwin
from lib.data.store import Store


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("test part")


@pytest.fixture(scope="module")
def pairs(folder) -> Store:
    generate(folder / "pairs", track="pairs", videos=500, pairs=120, test_pairs=120, world="clear", progress=False)
    return import_corpus(folder / "pairs", folder / "pairs store")


@pytest.fixture(scope="module")
def classes(folder) -> Store:
    parts = {"labeled": 20, "unlabeled": 50, "test_b": 30}
    generate(folder / "classes", track="classes", videos=100, parts=parts, world="clear", progress=False)
    return import_corpus(folder / "classes", folder / "classes store")


def test_no_pair_has_a_video_on_either_side(pairs):
    ends = pairs.column("part")[pairs.pairs()[["row1", "row2"]].to_numpy()]
    assert set(ends.ravel()) == {"pairwise", "test_b"} and (ends[:, 0] == ends[:, 1]).all()
    assert 80 < (ends[:, 0] == "test_b").sum() < 160


def test_videos_of_the_test_part_have_no_tags_to_learn_from(pairs):
    known = pairs.tags_csr()[2]
    assert not known[pairs.rows("test_b")].any() and known[pairs.rows("pairwise", "pointwise")].all()


def test_a_test_part_changes_no_pair_that_trains():
    """Another population is added after the first, with stories of its own."""
    alone, both = (PairTwin(700, seed=3, pairs=200, test_pairs=test, world="clear") for test in (0, 200))
    for name in ("i", "j", "affinity", "score", "by_query"):
        np.testing.assert_array_equal(getattr(alone, name), getattr(both, name))
    ours, test, world = both.graded["pairwise"], both.graded["test_b"], both.world
    rows = [np.union1d(part.i, part.j) for part in (ours, test)]
    assert not np.intersect1d(*rows).size
    assert not np.intersect1d(*(world.event[some] for some in rows)).size


def test_truth_covers_test_pairs_and_scores_follow_it(pairs):
    test = np.isin(pairs.pairs()["row1"], pairs.rows("test_b"))
    truth = pairs.truth()["oracle"].to_numpy()
    assert len(truth) == len(test)
    for mask in (test, ~test):
        assert np.corrcoef(truth[mask], pairs.pairs()["score"][mask])[0, 1] > 0.8


def test_classes_of_the_test_part_are_labelled(classes, folder):
    labels, true = classes.categories(), classes.truth()["true_category"].to_numpy()
    rows = classes.rows("test_b")
    assert len(rows) == 30 and (labels[rows] >= 0).all() and (labels[classes.rows("unlabeled")] == -1).all()
    assert 0.6 < (labels[rows] == true[rows]).mean() < 1
    assert (folder / "classes" / "zip_feats" / "test_b.zip").exists()
