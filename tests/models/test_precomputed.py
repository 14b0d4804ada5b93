"""Pooled vectors that stand in for a frozen encoder."""

import pytest
import torch

from lib.models.video_model import encode
from tests.small import batch as small_batch


class Reader(torch.nn.Module):
    """A vector that shows which video it is of."""

    def forward(self, batch):
        pooled = torch.stack([batch.rows.float(), 10 * batch.rows.float()], dim=1)
        return type("States", (), {"pooled": pooled})()


def rows(*numbers):
    return small_batch([2] * len(numbers), [1] * len(numbers)).replace(rows=torch.tensor(numbers))


def test_vectors_come_back_by_row_whatever_the_order():
    memory = encode(Reader(), [rows(7, 2), rows(5)], torch.device("cpu"))
    states = memory(rows(5, 7, 5))
    assert states.pooled.tolist() == [[5, 50], [7, 70], [5, 50]]
    assert states.hidden.shape == (3, 1, 2) and states.mask.all() and not states.pooled.requires_grad


def test_unknown_video_is_an_error():
    memory = encode(Reader(), [rows(7, 2)], torch.device("cpu"))
    for strange in (3, 9):
        with pytest.raises(ValueError, match="had not encoded before training"):
            memory(rows(strange))
