"""The original's concatenation and SVD in full, the specification's invariant, and the edges of all rules."""

import numpy as np
import pytest

from lib.evaluation.ensemble import ConcatSvd, MeanEmbedding, WeightedLogits, concat
from lib.evaluation.vectors import cosines
from tests.golden_rule import draw, draw_uniform, load_case


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_golden_inputs_norms_and_singular_values():
    """AIAC rank 1's on inputs by the rule of the recording; 6.6e-6 is the recording's own deviation between machines."""
    case = load_case("r1/ensemble")
    latent = draw_uniform("r1/ensemble/latent", (300, 12)) - 0.5
    members = []
    for job in range(1, 7):
        noise = draw(f"r1/ensemble/noise/job{job}", (300, 256), std=0.25)
        mixed = latent @ draw(f"r1/ensemble/mix/job{job}", (12, 256)) + noise
        members.append(mixed.astype(np.float16).astype(np.float64))
    assert np.array_equal(np.stack([member[0, :16] for member in members]), case.array("out/input_row0"))
    joined, reduced = concat(members), ConcatSvd()(members)
    assert np.linalg.norm(joined, axis=1) == pytest.approx(case.array("out/concat_norm"), abs=1e-6)
    for vectors, name, tolerance in ((joined, "concat", 1e-5), (reduced, "svd", 1e-4)):
        found = cosines(vectors, case.array("in/pairs"))
        assert found == pytest.approx(case.array(f"out/cosine_{name}"), abs=tolerance)
    assert np.linalg.norm(reduced, axis=1) == pytest.approx(case.array("out/svd_norm"), abs=2e-5)
    singular = np.linalg.norm(reduced, axis=0)[:16]  # un-centred: the columns of U S
    assert singular == pytest.approx(case.array("out/singular_values"), abs=2e-5)


def test_10_R1_1_six_equal_members_keep_their_cosines_even_as_float16():
    vectors = unit(np.random.default_rng(0).normal(size=(300, 256)))
    reduced = ConcatSvd(dim=256)([vectors] * 6)
    assert unit(reduced) @ unit(reduced).T == pytest.approx(vectors @ vectors.T, abs=1e-6)
    rounded = unit(reduced.astype(np.float16).astype(np.float64))
    assert rounded @ rounded.T == pytest.approx(vectors @ vectors.T, abs=5e-4)


def test_10_R1_1_concatenation_of_any_members_has_length_one_and_mean_cosines():
    generator = np.random.default_rng(0)
    members = [generator.normal(size=(40, width)) for width in (8, 8, 16, 3, 8, 20)]
    joined = concat(members)
    mean = np.mean([unit(member) @ unit(member).T for member in members], axis=0)
    assert joined @ joined.T == pytest.approx(mean, abs=1e-6)
    assert np.linalg.norm(joined, axis=1) == pytest.approx(np.ones(40), abs=1e-12)


def test_concatenation_with_weights_by_hand():
    """Cosines 1 and 0 with weights 0.25 and 0.75: 0.25."""
    joined = concat([np.array([[2.0, 0], [5, 0]]), np.array([[1.0, 0], [0, 3]])], weights=[0.25, 0.75])
    assert joined[0] @ joined[1] == pytest.approx(0.25)


def test_concatenation_refuses_nothing_and_wrong_numbers_of_weights():
    for members, weights in (([], None), ([np.ones((2, 2))] * 2, [1.0])):
        with pytest.raises(ValueError, match="needs members and a weight for each"):
            concat(members, weights)


def test_svd_caps_its_width_and_fits_on_the_first_half_if_asked():
    members = [np.random.default_rng(seed).normal(size=(20, 6)) for seed in (0, 1)]
    assert ConcatSvd(dim=256)(members).shape == (20, 12)
    whole = ConcatSvd(dim=256)(members)
    assert whole @ whole.T == pytest.approx(concat(members) @ concat(members).T, abs=1e-9)  # nothing is cut off
    changed = [np.concatenate([member[:12], 3 * member[12:] + 1]) for member in members]
    before, after = (ConcatSvd(dim=4, fit="reference")(given) for given in (members, changed))
    assert before[:12] == pytest.approx(after[:12], abs=1e-9)  # fitted on rows 0 to 9, which are the same
    assert not np.allclose(ConcatSvd(dim=4)(members)[:10], ConcatSvd(dim=4)(changed)[:10], atol=1e-3)


def test_10_r17_6_mean_embedding_with_and_without_normalising():
    members = [np.array([[3.0, 4.0]]), np.array([[0.0, 2.0]])]
    assert MeanEmbedding()(members) == pytest.approx(np.array([[0.3, 0.9]]))
    assert MeanEmbedding(normalise=False)(members) == pytest.approx(np.array([[1.5, 3.0]]))
    with pytest.raises(ValueError, match="ConcatSvd"):
        MeanEmbedding()([np.ones((1, 2)), np.ones((1, 3))])


def test_weighted_logits_know_no_constant_stay_finite_and_count_their_weights():
    """Logits mean the same with 7 added: (0.5, 0.5) and (0.9, 0.1) give (0.7, 0.3); geometric means sqrt(0.5 * 0.9) and
    sqrt(0.5 * 0.1) are 3 : 1."""
    members = [np.log([[0.5, 0.5]]), np.log([[0.9, 0.1]]) + 7]
    assert np.exp(WeightedLogits()(members)) == pytest.approx(np.array([[0.7, 0.3]]))
    assert np.exp(WeightedLogits(weights=[3.0, 1.0])(members)) == pytest.approx(np.array([[0.6, 0.4]]))
    assert np.exp(WeightedLogits(of="logs")(members)) == pytest.approx(np.array([[0.75, 0.25]]))
    assert np.isfinite(WeightedLogits()([np.array([[0.0, 1e4]])])).all()
    with pytest.raises(ValueError, match="1 weights for 2 members"):
        WeightedLogits(weights=[1.0])(members)
