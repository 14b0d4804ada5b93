"""Cosine regression and the two kinds of teachers, against plain loops."""

import math

import pytest
import torch

from lib.objectives import CosineRegression, SoftLabels, SoftSimilarity
from tests.small import batch, outputs

EMBEDDING = torch.randn(5, 3, generator=torch.Generator().manual_seed(4))
PAIR, SCORE = torch.tensor([[0, 1], [2, 3], [4, 0]]), torch.tensor([0.9, 0.1, 0.5])


def _given(**fields):
    return batch([1] * 5, [1] * 5).replace(pair=PAIR, **fields)


def _cosine(i: int, j: int) -> float:
    a, b = EMBEDDING[i].tolist(), EMBEDDING[j].tolist()
    dot = sum(x * y for x, y in zip(a, b, strict=True))
    return dot / math.sqrt(sum(x * x for x in a)) / math.sqrt(sum(y * y for y in b))


@pytest.mark.parametrize(("objective", "field"), [(CosineRegression, "score"), (SoftSimilarity, "soft")])
def test_against_loops(objective, field):
    """Lengths of the vectors do not matter, only their angle."""
    expected = sum((_cosine(i, j) - float(y)) ** 2 for (i, j), y in zip(PAIR.tolist(), SCORE, strict=True)) / 3
    for scale in (1.0, 100.0):
        value = objective()(outputs(embedding=EMBEDDING * scale), _given(**{field: SCORE}))
        assert float(value) == pytest.approx(expected, rel=1e-5)


def test_label_and_teacher_terms_have_the_gradient_of_the_blended_label():
    """AIAC B3.3: 0.7 label + 0.3 teacher as one target; as two terms the value differs by a constant only."""
    teacher = torch.tensor([0.2, 0.3, 0.8])

    def gradient(compute):
        x = EMBEDDING.clone().requires_grad_()
        compute(outputs(embedding=x)).backward()
        return x.grad

    given, blended = _given(score=SCORE, soft=teacher), _given(score=0.7 * SCORE + 0.3 * teacher)
    two = gradient(lambda o: 0.7 * CosineRegression()(o, given) + 0.3 * SoftSimilarity()(o, given))
    torch.testing.assert_close(two, gradient(lambda o: CosineRegression()(o, blended)), atol=1e-7, rtol=1e-5)


def test_aiac_10_r6_7_agreeing_teacher():
    """R6-7: if the teacher's cosines equal the labels, both terms are the same."""
    given = _given(score=SCORE, soft=SCORE)
    found = [term(outputs(embedding=EMBEDDING), given) for term in (CosineRegression(), SoftSimilarity())]
    assert torch.equal(*found)


def test_no_pair_costs_nothing_and_has_a_graph():
    x = EMBEDDING.clone().requires_grad_()
    loss = CosineRegression()(outputs(embedding=x), batch([1] * 5, [1] * 5).replace(pair=PAIR[:0], score=SCORE[:0]))
    loss.backward()
    assert float(loss.detach()) == 0 and (x.grad == 0).all()


def test_zero_embedding_is_finite():
    x = torch.zeros(5, 3, requires_grad=True)
    CosineRegression()(outputs(embedding=x), _given(score=SCORE)).backward()
    assert x.grad.isfinite().all()


def test_bfloat16_embeddings_are_compared_in_float32():
    low = EMBEDDING.bfloat16()
    value, full = (CosineRegression()(outputs(embedding=x), _given(score=SCORE)) for x in (low, low.float()))
    assert value.dtype == torch.float32 and float(value) == pytest.approx(float(full), rel=1e-6)


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_soft_labels_against_loops(temperature):
    student, teacher = torch.randn(2, 4), torch.randn(2, 4)
    expected = 0.0
    for row in range(2):
        p, q = ([math.exp(float(x) / temperature) for x in logits[row]] for logits in (student, teacher))
        p, q = [x / sum(p) for x in p], [x / sum(q) for x in q]
        expected += temperature**2 * sum(b * math.log(b / a) for a, b in zip(p, q, strict=True)) / 2
    given = batch([1, 1], [1, 1]).replace(soft=teacher)
    assert float(SoftLabels(temperature)(outputs(logits=student), given)) == pytest.approx(expected, rel=1e-4)


def test_wechat_15_system2_1_pseudo_label_distillation():
    """System 2-1: 0 for equal distributions; gradient with respect to the logits (p - q)/B."""
    student, teacher = torch.randn(3, 6, requires_grad=True), torch.randn(3, 6)
    given = batch([1] * 3, [1] * 3).replace(soft=teacher)
    assert float(SoftLabels()(outputs(logits=teacher), given)) == pytest.approx(0, abs=1e-6)
    SoftLabels()(outputs(logits=student), given).backward()
    expected = (student.softmax(1) - teacher.softmax(1)).detach() / 3
    torch.testing.assert_close(student.grad, expected, atol=1e-6, rtol=1e-5)


def test_hard_and_mixed_labels_of_a_teacher():
    student, teacher = torch.randn(3, 6), torch.randn(3, 6)
    given = batch([1] * 3, [1] * 3).replace(soft=teacher)
    soft, half, hard = (float(SoftLabels(hard=share)(outputs(logits=student), given)) for share in (0.0, 0.5, 1.0))
    first = [float(-student.log_softmax(1)[row, int(teacher[row].argmax())]) for row in range(3)]
    assert hard == pytest.approx(sum(first) / 3) and half == pytest.approx((soft + hard) / 2)


def test_errors():
    with pytest.raises(ValueError, match=r"SoftSimilarity needs batch.soft"):
        SoftSimilarity()(outputs(embedding=EMBEDDING), _given(score=SCORE))
    with pytest.raises(ValueError, match=r"a similarity needs outputs.embedding"):
        CosineRegression()(outputs(logits=EMBEDDING), _given(score=SCORE))
