"""Bags of n-grams and mean frames: what they count, and what they must not see."""

import pytest
import torch

from lib.data.batch import Batch
from lib.models import MeanFrames, NgramBag


def batch(texts: list[list[int]], frames: torch.Tensor | None = None, counts: list[int] | None = None) -> Batch:
    width = max(map(len, texts))
    ids = torch.tensor([text + [9] * (width - len(text)) for text in texts])  # no zeros: only the mask says what pads
    mask = torch.tensor([[place < len(text) for place in range(width)] for text in texts])
    frames = torch.zeros(len(texts), 1, 4) if frames is None else frames
    counts = counts or [frames.shape[1]] * len(texts)
    seen = torch.tensor([[place < n for place in range(frames.shape[1])] for n in counts])
    return Batch(torch.arange(len(texts)), ids, mask, torch.zeros_like(ids), frames, seen)


def ngrams(bag: NgramBag, text: list[int]) -> set[int]:
    rows, real = bag.rows(*(getattr(batch([text]), name) for name in ("input_ids", "text_mask")))
    return set(rows[real].tolist())


def test_every_ngram_of_every_order_is_counted_once():
    bag = NgramBag(8, orders=(1, 2, 3), buckets=1 << 20)
    rows, real = bag.rows(
        torch.tensor([[5, 6, 7, 8, 0, 0], [5, 6, 0, 0, 0, 0]]),
        torch.tensor([[1, 1, 1, 1, 0, 0], [1, 1, 0, 0, 0, 0]]).bool(),
    )
    assert real.sum(dim=1).tolist() == [4 + 3 + 2, 2 + 1 + 0]
    assert len(set(rows[0][real[0]].tolist())) == 9  # in a million buckets nine do not meet
    assert set(rows[1][real[1]].tolist()) < set(rows[0][real[0]].tolist())  # 5, 6 and "5 6" are the same rows anywhere
    assert int(rows.min()) >= 0 and int(rows.max()) < 1 << 20


def test_order_counts_from_two_on():
    single, double = NgramBag(8, orders=(1,), buckets=1 << 20), NgramBag(8, orders=(2,), buckets=1 << 20)
    assert ngrams(single, [5, 6, 7]) == ngrams(single, [7, 5, 6])
    assert ngrams(double, [5, 6, 7]) & ngrams(double, [7, 5, 6]) == ngrams(double, [5, 6])


def test_the_vector_is_the_plain_sum():
    bag = NgramBag(8, orders=(1, 2), buckets=50).eval()
    pooled = bag(batch([[3, 4, 3]])).pooled
    rows = [*(int(next(iter(ngrams(NgramBag(8, orders=(1,), buckets=50), [i])))) for i in (3, 4, 3)),
            *(int(next(iter(ngrams(NgramBag(8, orders=(2,), buckets=50), pair)))) for pair in ([3, 4], [4, 3]))]  # fmt: skip
    total = sum(bag.table.weight[row] for row in rows) / len(rows) ** 0.5
    torch.testing.assert_close(pooled[0], bag.norm(total))


def test_padding_and_neighbours_change_nothing():
    torch.manual_seed(0)
    bag = NgramBag(16).eval()
    alone, beside = bag(batch([[3, 4, 5]])), bag(batch([[3, 4, 5], [6, 7, 8, 9, 10, 11]]))
    torch.testing.assert_close(alone.pooled[0], beside.pooled[0])
    assert bag(batch([[3]])).pooled.isfinite().all() and alone.hidden.shape == (1, 1, 16) and alone.mask.all()

    frames = torch.randn(4, 5, 4)
    mean = MeanFrames(4, 8).eval()
    among, alone = mean(batch([[3]] * 4, frames, [2, 3, 5, 1])), mean(batch([[3]], frames[1:2, :3]))
    torch.testing.assert_close(among.pooled[1], alone.pooled[0])


def test_frames_are_standardised_over_the_batch():
    frames = torch.randn(6, 3, 4, generator=torch.Generator().manual_seed(1))
    plain, stretched = MeanFrames(4, 8, dropout=0.0), MeanFrames(4, 8, dropout=0.0)
    stretched.load_state_dict(plain.state_dict())
    first = plain(batch([[3]] * 6, frames)).pooled
    second = stretched(batch([[3]] * 6, frames * torch.tensor([1.0, 10.0, 100.0, 1000.0]) + 5)).pooled
    torch.testing.assert_close(first, second, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("wrong", [{"orders": ()}, {"orders": (0, 1)}, {"buckets": 1}])
def test_senseless_arguments_are_refused(wrong):
    with pytest.raises(ValueError, match="orders of 1 or more and 2 buckets or more"):
        NgramBag(8, **wrong)
