"""R-Drop against loops, and what it makes of a whole mix: two passes, means of the other terms, nothing without dropout."""

import pytest
import torch
from torch import nn

from lib.models import MeanPool
from lib.models.heads import Classifier
from lib.objectives import CategoryCE, RDrop
from lib.objectives.mix import ObjectiveMix
from tests.small import WIDTH, batch, outputs, single_stream

FIRST, SECOND = torch.randn(2, 5, 7, generator=torch.Generator().manual_seed(3)).unbind()


def classifier(dropout: float) -> nn.Module:
    """In training mode, with this dropout in front of the head and none elsewhere."""
    model = single_stream()
    torch.manual_seed(1)
    model.head = Classifier(MeanPool(WIDTH).output_dim, 7, dropout=dropout)
    model.train()
    for module in model.modules():
        if isinstance(module, nn.Dropout) and module is not model.head.dropout:
            module.p = 0.0
    return model


def mix(alpha: float) -> ObjectiveMix:
    return ObjectiveMix({"category": (CategoryCE(), 1.0), "agreement": (RDrop(7), alpha)})


def gradients(model, mixed, seed=5):
    model.zero_grad()
    torch.manual_seed(seed)
    total, named = mixed(model, batch([3, 4, 2], [2, 3, 1]))
    total.backward()
    return total.detach(), named, [None if p.grad is None else p.grad.clone() for p in model.parameters()]


def test_wechat_15_system3_5_symmetric_and_nothing_in_evaluation_mode():
    given, term = batch([3, 4, 2], [2, 3, 1]), RDrop(7)
    both = [outputs(logits=FIRST), outputs(logits=SECOND)]
    one, other = float(term.over(both, given)), float(term.over(both[::-1], given))
    assert one > 0 and one == pytest.approx(other, rel=1e-6)
    model, mixed = classifier(0.5).eval(), mix(alpha=4.0).eval()
    total, named = mixed(model, given)
    plain, _ = ObjectiveMix({"category": (CategoryCE(), 1.0)})(model, given)
    assert float(named["agreement"].detach()) == 0.0 and torch.equal(total, plain)


def test_without_dropout_it_is_the_plain_loss_to_the_bit():
    model = classifier(0.0)
    total, named, with_term = gradients(model, mix(alpha=4.0))
    plain, _, without = gradients(model, ObjectiveMix({"category": (CategoryCE(), 1.0)}))
    assert float(named["agreement"].detach()) == 0.0 and torch.equal(total, plain)
    for ours, theirs in zip(with_term, without, strict=True):
        assert (ours is None) == (theirs is None)
        if ours is not None:
            torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-7)


def test_c4_two_passes_have_two_masks_and_other_terms_are_their_mean():
    model, given = classifier(0.5), batch([3, 4, 2], [2, 3, 1])
    torch.manual_seed(5)
    passes = [model(given), model(given)]
    torch.manual_seed(5)
    total, named = mix(alpha=2.0)(model, given)
    agreement = RDrop(7).over(passes, given)
    cross = torch.stack([CategoryCE()(one, given) for one in passes]).mean()
    assert float(agreement.detach()) > 0 and torch.equal(named["agreement"], agreement)
    assert torch.equal(named["category"], cross) and torch.allclose(total, cross + 2.0 * agreement)


def test_off_costs_one_pass():
    model, calls = classifier(0.5), []
    model.register_forward_hook(lambda *_: calls.append(1))
    mix(alpha=0.0)(model, batch([3], [2]))
    assert len(calls) == 1
    mix(alpha=1.0)(model, batch([3], [2]))
    assert len(calls) == 3


def test_certain_predictions_stay_finite():
    x = torch.tensor([[1e4, 0.0], [0.0, 80.0]], requires_grad=True)
    loss = RDrop(2).over([outputs(logits=x), outputs(logits=-x)], batch([1, 1], [1, 1]))
    loss.backward()
    assert torch.isfinite(loss) and x.grad.isfinite().all()


def test_errors():
    with pytest.raises(ValueError, match="this corpus has none .*cosine of embeddings"):
        RDrop(0)
    one = outputs(embedding=FIRST)
    with pytest.raises(ValueError, match="head gives embeddings; use a Classifier"):
        RDrop(7).over([one, one], batch([1], [1]))
