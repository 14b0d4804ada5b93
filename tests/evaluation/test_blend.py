"""The linear blend as a whole: it learns, repeats itself, and keeps its folds from cancelling."""

import numpy as np
import pytest

from lib.evaluation.blend import LinearBlend
from lib.evaluation.metrics import spearman


def corpus(videos=120, members=4, width=32, pairs=600):
    """Members see the same latent vectors through their own rotation, the first two with little noise."""
    generator = np.random.default_rng(0)
    latent = generator.normal(size=(videos, 6))
    rotations = generator.normal(size=(members, 6, width))
    noise = np.array([0.1, 0.1, 2.0, 2.0])[:members, None, None] * generator.normal(size=(members, videos, width))
    embeddings = np.einsum("nd,mdw->nmw", latent, rotations) + noise.transpose(1, 0, 2)
    embeddings /= np.linalg.norm(embeddings, axis=2, keepdims=True)
    index = generator.integers(videos, size=(pairs, 2))
    a, b = latent[index[:, 0]], latent[index[:, 1]]
    return embeddings, index, (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


def score(vectors, pairs, truth):
    a, b = vectors[pairs[:, 0]], vectors[pairs[:, 1]]
    return spearman((a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1), truth)


def fit(embeddings, pairs, scores, layout="reshape", **settings):
    """``LinearBlend`` of embeddings [N, M, E]."""
    return LinearBlend(pairs=pairs, scores=scores, layout=layout, **settings)(list(embeddings.transpose(1, 0, 2)))


@pytest.mark.parametrize("layout", ["reshape", "stack"])
def test_fit(layout):
    embeddings, pairs, truth = corpus()
    vectors = fit(embeddings, pairs, truth, layout, folds=3, seed=1, batch_size=64)
    assert vectors.shape == (120, 32) and vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1).max() <= 1 + 1e-5
    assert score(vectors, pairs, truth) > 0.5
    assert np.array_equal(vectors, fit(embeddings, pairs, truth, layout, folds=3, seed=1, batch_size=64))


def test_signs_of_folds_are_aligned():
    """B5.1: w and -w fit equally well; with aligned signs the mean of unit vectors stays long whatever the seeds."""
    embeddings, pairs, truth = corpus()
    lengths = {}
    for aligned in (True, False):
        means = [fit(embeddings, pairs, truth, seed=s, epochs=1, align_signs=aligned) for s in range(4)]
        lengths[aligned] = min(float(np.linalg.norm(mean, axis=1).mean()) for mean in means)
    assert lengths[True] > lengths[False]


@pytest.mark.parametrize(
    ("changes", "message"), [({"folds": 1}, "folds must be between 2"), ({"scores": np.zeros(2)}, "scores need pairs")]
)
def test_errors(changes, message):
    pairs = np.array([[0, 1], [1, 2], [2, 3]])
    with pytest.raises(ValueError, match=message):
        fit(np.ones((4, 2, 8)), pairs, **{"scores": np.zeros(3)} | changes)


def test_members_of_one_width():
    embeddings, pairs, truth = corpus()
    with pytest.raises(ValueError, match="one width"):
        LinearBlend(pairs=pairs, scores=truth)([embeddings[:, 0], embeddings[:, 1, :8]])
