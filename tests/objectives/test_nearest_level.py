"""The loss on pairs without labels: both scopes against loops."""

import pytest
import torch
import torch.nn.functional as F

from lib.objectives import NearestLevel
from tests.small import batch, outputs

EMBEDDING = torch.randn(6, 3, generator=torch.Generator().manual_seed(4))
PAIR, SCORE = torch.tensor([[0, 3], [1, 4], [2, 5]]), torch.tensor([0.9, 0.1, 0.5])
LEVELS = (0.0, 0.5, 1.0)


def _given(rows=range(6), **fields):
    given = batch([1] * 6, [1] * 6).replace(pair=PAIR, score=SCORE, rows=torch.tensor(list(rows)))
    return given.replace(**fields)


def _error(i: int, j: int, target: float | None = None) -> float:
    cosine = float(F.cosine_similarity(EMBEDDING[i], EMBEDDING[j], dim=0))
    return min((cosine - level) ** 2 for level in LEVELS) if target is None else (cosine - target) ** 2


def test_within_side_against_loops():
    """Labels, duplicates and the other side mean nothing; the diagonal counts in the divisor."""
    expected = sum(0.5 / 9 * _error(i, j) for side in ((0, 1, 2), (3, 4, 5)) for i in side for j in side if i != j)
    for scale in (1.0, 30.0):
        loss = NearestLevel(scope="within_side")(outputs(embedding=EMBEDDING * scale), _given(rows=[7] * 6))
        assert float(loss) == pytest.approx(expected, rel=1e-5)


def test_all_against_loops():
    """Own pairs go to their score, known ones to theirs, the rest to the nearest level; no video is its own partner."""
    known = torch.full((6, 6), float("nan"))
    known[0, 1] = known[1, 0] = 0.3
    known[0, 3] = known[3, 0] = 0.0  # the batch's own score comes first
    labels = {(0, 3): 0.9, (1, 4): 0.1, (2, 5): 0.5, (0, 1): 0.3}
    pairs = [(i, j) for i in range(6) for j in range(6) if i != j]
    expected = sum(_error(i, j, labels.get((min(i, j), max(i, j)))) for i, j in pairs) / len(pairs)
    loss = NearestLevel()(outputs(embedding=EMBEDDING), _given(known=known))
    assert float(loss) == pytest.approx(expected, rel=1e-5)


def test_copies_of_a_video():
    """Video 8 stands at places 1 and 3: never against itself, and its scores hold for both places."""
    rows = [5, 8, 2, 8, 4, 3]  # labelled: 5-8, 8-4, 2-3
    labels = {(5, 8): 0.9, (4, 8): 0.1, (2, 3): 0.5}
    pairs = [(i, j) for i in range(6) for j in range(6) if rows[i] != rows[j]]
    total = sum(_error(i, j, labels.get((min(rows[i], rows[j]), max(rows[i], rows[j])))) for i, j in pairs)
    loss = NearestLevel()(outputs(embedding=EMBEDDING), _given(rows=rows))
    assert len(pairs) == 28 and float(loss) == pytest.approx(total / 28, rel=1e-5)


@pytest.mark.parametrize("scope", ["all", "within_side"])
def test_nothing_to_learn_from(scope):
    """No pair, or one video only: zero with a graph. Zero vectors stay finite."""
    x = torch.zeros(2, 3, requires_grad=True)
    empty = batch([1] * 2, [1] * 2).replace(pair=PAIR[:0], score=SCORE[:0], rows=torch.tensor([4, 4]))
    loss = NearestLevel(scope=scope)(outputs(embedding=x), empty)
    loss.backward()
    assert float(loss.detach()) == 0 and x.grad is not None and not x.grad.any()
    one = empty.replace(pair=torch.tensor([[0, 1]]), score=None, rows=torch.tensor([4, 5]))
    x.grad = None
    NearestLevel(scope=scope)(outputs(embedding=x), one).backward()
    assert x.grad.isfinite().all()


def test_bfloat16_is_compared_in_float32_and_levels_are_free():
    low = EMBEDDING.bfloat16()
    value = NearestLevel(levels=(0.25,))(outputs(embedding=low), _given(score=None))
    assert value.dtype == torch.float32
    cosine = F.cosine_similarity(low.float()[:, None], low.float()[None], dim=-1)
    apart = ~torch.eye(6, dtype=torch.bool)
    assert float(value) == pytest.approx(float((cosine[apart] - 0.25).square().mean()), rel=1e-5)


def test_errors():
    with pytest.raises(ValueError, match="at least one level"):
        NearestLevel(levels=())
    with pytest.raises(ValueError, match="NearestLevel needs batch.pair"):
        NearestLevel()(outputs(embedding=EMBEDDING), batch([1] * 6, [1] * 6))
