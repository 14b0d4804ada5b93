"""Vectors keep the length a model gave them until a cosine is taken; an ensemble of raw vectors sees it."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from torch import nn

from lib.evaluation.ensemble import MeanEmbedding
from lib.evaluation.predict import predict
from lib.evaluation.vectors import cosines, pair_cosines, unit

LONG, SHORT = np.array([[3.0, 4.0], [0.0, 5.0]], np.float32), np.array([[0.0, 1.0], [1.0, 0.0]], np.float32)


class Fixed(nn.Module):
    def __init__(self, vectors):
        super().__init__()
        self.vectors = torch.from_numpy(vectors)

    def forward(self, batch):
        return SimpleNamespace(embedding=self.vectors[batch.rows])


class Rows(SimpleNamespace):
    def to(self, device):
        return self


def predicted(vectors):
    batches = [Rows(rows=torch.tensor([1])), Rows(rows=torch.tensor([0]))]
    rows, values = predict(Fixed(vectors), batches, Accelerator(cpu=True), "embedding")
    assert rows.tolist() == [0, 1]
    return values


def test_sums_of_raw_and_of_unit_vectors_differ_by_hand():
    """(3, 4) + (0, 1) leans to the long one; as unit vectors (0.6, 0.8) + (0, 1) count the same."""
    members = [predicted(LONG), predicted(SHORT)]
    raw, scaled = (MeanEmbedding(normalise=normalise)(members) for normalise in (False, True))
    assert raw == pytest.approx(np.array([[1.5, 2.5], [0.5, 2.5]]))
    assert scaled == pytest.approx(np.array([[0.3, 0.9], [0.5, 0.5]]))
    pair = np.array([[0, 1]])
    assert cosines(raw, pair) == pytest.approx([7 / np.sqrt(8.5 * 6.5)])
    assert cosines(scaled, pair) == pytest.approx([0.6 / np.sqrt(0.9 * 0.5)])


def test_cosines_know_no_length_and_a_row_of_zeros_is_like_nothing():
    rows, pairs = np.array([4, 9]), np.array([[4, 9], [9, 9]])
    assert pair_cosines(rows, LONG, pairs) == pytest.approx([0.8, 1.0])
    assert np.array_equal(pair_cosines(rows, 8 * LONG, pairs), pair_cosines(rows, LONG, pairs))
    assert unit(np.zeros((1, 3))).tolist() == [[0, 0, 0]]
    assert unit(LONG).dtype == np.float32


@pytest.mark.parametrize(
    "precision, third", [("trained", 1 / 3), ("float32", 1 / 3), ("bfloat16", 0.333984375), ("float16", 0.333251953125)]
)
def test_scored_in_a_precision_of_its_own(precision, third):
    class Product(Fixed):
        def forward(self, batch):
            return SimpleNamespace(embedding=self.vectors[batch.rows] @ torch.eye(2))

    model, batches = Product(np.full((2, 2), 1 / 3, np.float32)), [Rows(rows=torch.arange(2))]
    _, values = predict(model, batches, Accelerator(cpu=True), "embedding", precision)
    assert values.dtype == np.float32 and (values == np.float32(third)).all()
