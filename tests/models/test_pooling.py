"""Poolings against plain loops."""

import math

import pytest
import torch

from lib.models import AttentionPool, FirstPooled, MeanPool, Poolings
from lib.models.video_model import Joint

HIDDEN = torch.randn(3, 5, 4, generator=torch.Generator().manual_seed(1))
MASK = torch.tensor([[1, 1, 1, 1, 1], [1, 0, 1, 0, 0], [0, 0, 0, 0, 0]], dtype=torch.bool)
JOINT = Joint(HIDDEN, MASK, text_index=torch.tensor([2, 3]), frame_index=torch.tensor([0, 1]))


@pytest.mark.parametrize("include_padding", [False, True])
def test_mean(include_padding):
    pooled = MeanPool(4, include_padding=include_padding)(JOINT)
    for row in range(2):
        kept = [HIDDEN[row, i] for i in range(5) if include_padding or MASK[row, i]]
        torch.testing.assert_close(pooled[row], sum(kept) / len(kept))
    if not include_padding:
        assert (pooled[2] == 0).all()  # nothing to average


@pytest.mark.parametrize("include_padding", [False, True])
def test_attention(include_padding):
    pool = AttentionPool(4, include_padding=include_padding)
    with torch.no_grad():
        pooled = pool(JOINT)
        for row in range(2):
            kept = [i for i in range(5) if include_padding or MASK[row, i]]
            weights = [math.exp(float(pool.score(torch.tanh(pool.transform(HIDDEN[row, i]))))) for i in kept]
            expected = sum(w / sum(weights) * HIDDEN[row, i] for w, i in zip(weights, kept, strict=True))
            torch.testing.assert_close(pooled[row], expected)
        assert pooled[2].isfinite().all()


def test_cls_follows_the_layout():
    assert (Poolings(4, ["first"])(JOINT) == HIDDEN[:, 2]).all()
    with pytest.raises(ValueError, match="kept no text position"):
        Poolings(4, ["first"])(Joint(HIDDEN, MASK))


def test_first_pooled():
    vector = torch.ones(3, 4)
    assert FirstPooled(4)(Joint(HIDDEN, MASK, vector)) is vector
    assert (FirstPooled(4)(JOINT) == HIDDEN[:, 0]).all()
    assert [pool(4).output_dim for pool in (MeanPool, AttentionPool, FirstPooled)] == [4] * 3
