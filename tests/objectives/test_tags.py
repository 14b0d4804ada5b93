"""Tag objectives against plain loops and torchvision."""

import math

import pytest
import torch

from lib.objectives import TagBCE, TagFocal
from lib.objectives.tags import focal_with_logits
from tests.small import batch, outputs

HIDDEN = torch.randn(4, 6, 5, generator=torch.Generator().manual_seed(2))
WIDTHS = {"cls": 5, "pooled": 5, "embedding": 2}
TARGET = torch.tensor([[1, 0, 0], [0, 1, 1], [-100, -100, -100], [0, 0, -100]]).float()


def _given(target=TARGET):
    return batch([1] * len(target), [1] * len(target)).replace(tags=target)


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def _loop(objective, target, gamma=0.0, alpha=None) -> list[float]:
    """Loss of every known entry; the input is relu of the first token's state."""
    losses = []
    for row in range(len(target)):
        for k in range(target.shape[1]):
            if target[row, k] == -100:
                continue
            x = HIDDEN[row, 0].clamp(min=0)
            logit = float(objective.head.classify.weight[k] @ x + objective.head.classify.bias[k])
            p = _sigmoid(logit) if target[row, k] == 1 else 1 - _sigmoid(logit)
            weight = 1.0 if alpha is None else alpha if target[row, k] == 1 else 1 - alpha
            losses.append(-weight * (1 - p) ** gamma * math.log(p))
    return losses


def test_bce_against_loops_with_unknown_entries():
    objective = TagBCE(3, WIDTHS)
    losses = _loop(objective, TARGET)
    assert len(losses) == 8
    assert float(objective(outputs(HIDDEN), _given()).detach()) == pytest.approx(sum(losses) / 8, rel=1e-5)


def test_tags_that_are_rare_from_the_start():
    """All states zero: the loss is that of the prior alone, three present and five absent entries at 1 %."""
    objective = TagBCE(3, WIDTHS, prior=0.01)
    found = float(objective(outputs(torch.zeros_like(HIDDEN)), _given()).detach())
    assert found == pytest.approx(-(3 * math.log(0.01) + 5 * math.log(0.99)) / 8, rel=1e-5)


@pytest.mark.parametrize("alpha", [None, 0.25, 0.99])
@pytest.mark.parametrize("gamma", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_focal_against_loops(gamma, alpha, reduction):
    objective = TagFocal(3, WIDTHS, gamma=gamma, alpha=alpha, reduction=reduction, scale=3.0)
    total = 3 * sum(_loop(objective, TARGET, gamma, alpha))
    expected = total / 8 if reduction == "mean" else total
    assert float(objective(outputs(HIDDEN), _given()).detach()) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("gamma", "alpha"), [(2.0, 0.99), (2.0, 10 / 11), (1.5, None)])
def test_focal_is_torchvisions(gamma, alpha):
    """AIAC invariants R6-1 and R17-1 name torchvision's sigmoid_focal_loss; its alpha -1 means none."""
    from torchvision.ops import sigmoid_focal_loss

    logits, target = torch.linspace(-9, 9, 37).repeat(2, 1), torch.tensor([[0.0], [1.0]]).expand(2, 37)
    theirs = sigmoid_focal_loss(logits, target, alpha=-1 if alpha is None else alpha, gamma=gamma)
    torch.testing.assert_close(focal_with_logits(logits, target, gamma, alpha), theirs, atol=5e-6, rtol=1e-4)


def test_aiac_10_r6_1_and_r17_1_values_at_one_half():
    """R6-1: at p = 0.5 a positive element costs 0.1715539 and a negative one 0.0017329; R17-1: 1.732868 and 0.173287
    (rank 17's own form is 11 times larger: alpha 10 and 1 instead of 10/11 and 1/11)."""
    six, seventeen = (focal_with_logits(torch.zeros(2), torch.tensor([1.0, 0.0]), 2.0, a) for a in (0.99, 10 / 11))
    assert six.tolist() == pytest.approx([0.1715539, 0.0017329], abs=1e-7)
    assert (11 * seventeen).tolist() == pytest.approx([1.732868, 0.173287], abs=1e-6)


def test_aiac_10_r1_2_tag_constant():
    """R1-2: with all logits 0 the term is 1250 ln 2 = 866.434 in evaluation and 288.811 in the sum of three tasks."""
    objective = TagBCE(3, WIDTHS)
    for parameter in objective.parameters():
        parameter.data.zero_()
    value = float(objective(outputs(HIDDEN), _given()).detach())
    assert 1250 * value == pytest.approx(866.434, abs=1e-3) and 1250 / 3 * value == pytest.approx(288.811, abs=1e-3)


@pytest.mark.parametrize("make", [TagBCE, TagFocal])
def test_nothing_known_costs_nothing_and_has_a_graph(make):
    objective = make(3, WIDTHS)
    loss = objective(outputs(HIDDEN), _given(torch.full((4, 3), -100.0)))
    loss.backward()
    assert float(loss.detach()) == 0 and all((p.grad == 0).all() for p in objective.parameters())


def test_inputs():
    """cls is the first text token wherever the layout put it; embedding and pooled are taken as they are."""
    given, embedding, pooled = _given(), torch.randn(4, 2), torch.randn(4, 5)
    state = outputs(HIDDEN, embedding=embedding, pooled=pooled)
    state.text_index = torch.tensor([3])
    for source, x in {"cls": HIDDEN[:, 3], "embedding": embedding, "pooled": pooled}.items():
        for activation in ("relu", "none"):
            head = TagBCE(3, WIDTHS, input=source, activation=activation).head
            expected = head.classify(x.clamp(min=0) if activation == "relu" else x)
            torch.testing.assert_close(head(state), expected)
    assert given.tags is TARGET


def test_reference_tags_scales_by_the_size_of_the_vocabulary():
    """Specification 8.5: with K tags use 1250/3 · K/10000."""
    plain, scaled = TagBCE(3, WIDTHS), TagBCE(3, WIDTHS, reference_tags=10000)
    scaled.load_state_dict(plain.state_dict())
    ratio = scaled(outputs(HIDDEN), _given()) / plain(outputs(HIDDEN), _given())
    assert float(ratio.detach()) == pytest.approx(3 / 10000, rel=1e-6)


@pytest.mark.parametrize("logit", [-1e4, -60.0, 0.0, 60.0, 1e4])
def test_extreme_logits_have_finite_loss_and_gradient(logit):
    """bfloat16 reaches 1e38, and its logits can be far off: no overflow, no 0 · inf."""
    for target in (0.0, 1.0):
        x = torch.tensor([logit], requires_grad=True)
        focal_with_logits(x, torch.tensor([target]), 2.0, 0.25).sum().backward()
        assert x.grad.isfinite().all()


def test_bad_settings():
    with pytest.raises(ValueError, match="no tags to predict"):
        TagBCE(0, WIDTHS)


@pytest.mark.parametrize("alpha", [None, 0.9])
@pytest.mark.parametrize("gamma", [0.0, 1.0, 1.5, 2.0])
def test_focal_gradient_by_differences(gamma, alpha):
    generator = torch.Generator().manual_seed(0)
    logits = (3 * torch.randn(4, 7, generator=generator, dtype=torch.float64)).requires_grad_()
    target = (torch.rand(4, 7, generator=generator) < 0.3).double()
    assert torch.autograd.gradcheck(lambda x: focal_with_logits(x, target, gamma, alpha), logits)


def test_clamped_focal_entries_pull_only_through_the_factor():
    logits = torch.tensor([-12.0, 12.0], dtype=torch.float64, requires_grad=True)
    focal_with_logits(logits, torch.zeros(2, dtype=torch.float64), 2.0, None, clamp=1e-4).sum().backward()
    share = torch.sigmoid(logits.detach())
    clamped = torch.tensor([1.00005e-4, 9.21034037], dtype=torch.float64)
    torch.testing.assert_close(logits.grad, 2 * clamped * share**2 * (1 - share), atol=1e-12, rtol=1e-6)
