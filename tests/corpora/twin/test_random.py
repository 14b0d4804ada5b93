"""Numbers that are functions of (seed, name, row)."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest

from lab.corpora.twin.random import bits, from_bins, normals, pick, pick_in_row, positions, uniforms

rows_ = st.lists(st.integers(0, 2**40), min_size=1, max_size=20)


def test_splitmix64_reference():
    """First outputs of the SplitMix64 sequence of start 1234567 (published test vector of the generator's authors)."""
    from lab.corpora.twin import random

    golden = np.uint64(0x9E3779B97F4A7C15)
    state = np.uint64(1234567) + np.arange(1, 4, dtype=np.uint64) * golden
    assert random._mix(state).tolist() == [6457827717110365317, 3203168211198807973, 9817491932198370423]


@settings(max_examples=30, deadline=None)
@given(rows=rows_, seed=st.integers(0, 100))
def test_a_row_has_the_same_numbers_in_any_company(rows, seed):
    together = bits(seed, "x", np.array(rows), 3)
    for k, row in enumerate(rows):
        assert (bits(seed, "x", np.array([row]), 3)[0] == together[k]).all()


@settings(max_examples=30, deadline=None)
@given(counts=st.lists(st.integers(0, 6), min_size=1, max_size=10))
def test_ragged_is_the_start_of_the_regular(counts):
    rows, widths = np.arange(len(counts)), np.array(counts)
    regular = bits(0, "x", rows, 6)
    expected = [value for k, n in enumerate(counts) for value in regular[k, :n].tolist()]
    assert bits(0, "x", rows, widths).tolist() == expected
    assert positions(widths).tolist() == [k for n in counts for k in range(n)]


def test_distributions():
    """Kolmogorov-Smirnov at 20,000 numbers: 0.0136 is the 0.1 % point of the statistic (1.95 / sqrt(n)). Names and columns
    are unrelated: a correlation of 20,000 has standard error 0.007."""
    rows = np.arange(10_000)
    assert kstest(uniforms(3, "a", rows, 2).ravel(), "uniform").statistic < 0.0138
    z = normals(3, "a", rows, 2)
    assert kstest(z.ravel(), "norm").statistic < 0.0138
    other = normals(3, "b", rows, 2)
    assert np.abs(np.corrcoef(np.concatenate([z, other], axis=1).T) - np.eye(4)).max() < 0.04
    assert abs(np.corrcoef(z[1:, 0], z[:-1, 0])[0, 1]) < 0.04


def test_samplers_by_hand():
    assert pick(np.array([0.0, 0.24, 0.26, 0.99]), np.array([1.0, 3.0])).tolist() == [0, 0, 1, 1]
    cumulative = np.array([[0.5, 1.0], [0.1, 1.0]])
    assert pick_in_row(np.array([0.4, 0.4, 0.05, 0.999]), cumulative, np.array([0, 1, 1, 0])).tolist() == [0, 1, 0, 1]
    bins = {"bins_inclusive": [[1, 2], [10, 10]], "fractions": [0.5, 0.5]}
    assert from_bins(np.array([0.0, 0.24, 0.26, 0.49, 0.5, 0.99]), bins).tolist() == [1, 1, 2, 2, 10, 10]


@pytest.mark.parametrize("part", ["film", "titles", "speech", "tags", "classes"])
def test_a_video_is_the_same_in_any_company(pair_twin, part):
    """So chunks, parts and order of a corpus change no video."""
    from lab.corpora.twin import text as texts

    def make(rows: np.ndarray) -> list:
        if part == "film":
            return [film.astype(np.float32) for film in pair_twin.camera.film(rows)]
        if part == "titles":
            return pair_twin.writer.titles(pair_twin.writer.told(rows), texts.title_lengths(0, rows))
        if part == "speech":
            return pair_twin.writer.speech(pair_twin.writer.told(rows), texts.asr_lengths(0, rows))
        labels = pair_twin.tagger.tags if part == "tags" else pair_twin.annotators.classes
        return [np.asarray(value).tolist() for value in labels(rows)]

    rows = np.random.default_rng(1).permutation(20_000)[:40]
    together, reverse = make(rows), make(rows[::-1].copy())[::-1]
    if part == "film":  # a matrix product of another shape may differ in the last bit of a half
        for one, other in zip(together, reverse, strict=True):
            np.testing.assert_allclose(one, other, rtol=2e-3, atol=1e-3)
    else:
        assert together == reverse
        assert [make(np.array([row]))[0] for row in rows[:8]] == together[:8]
