"""The weighted sum of objectives: skipping, random streams, one forward pass."""

import pytest
import torch
from torch import nn

from lib.objectives import MaskedFrames, MaskedTokens, TagBCE
from lib.objectives.mix import Objective, ObjectiveMix
from tests.small import FRAME_DIM, SPECIAL, TAGS, VOCABULARY, WIDTH, batch, single_stream


class Constant(Objective):
    """Counts its calls; its value is a parameter of its own."""

    def __init__(self, value: float):
        super().__init__()
        self.value = nn.Parameter(torch.tensor(value))
        self.corrupted = self.computed = self.stepped = 0

    def corrupt(self, batch, generator):
        self.corrupted += 1
        return batch

    def forward(self, outputs, batch):
        self.computed += 1
        return self.value * 1.0

    def after_step(self, model):
        self.stepped += 1


def _pretraining(**weights: float) -> ObjectiveMix:
    torch.manual_seed(0)
    terms = {
        "tags": TagBCE(TAGS, {"cls": WIDTH}),
        "tokens": MaskedTokens(WIDTH, VOCABULARY, SPECIAL, rate=0.5),
        "frames": MaskedFrames(WIDTH, FRAME_DIM, rate=0.5),
    }
    return ObjectiveMix({name: (term, weights.get(name, 1.0)) for name, term in terms.items()})


def test_total_is_the_weighted_sum_and_terms_are_unweighted():
    mix = ObjectiveMix({"a": (Constant(2.0), 0.5), "b": (Constant(3.0), 10.0)})
    total, named = mix(single_stream(), batch([1], [1]))
    assert float(total) == 31.0 and {name: float(value) for name, value in named.items()} == {"a": 2.0, "b": 3.0}


def test_weight_zero_skips_everything():
    on, off = Constant(2.0), Constant(float("nan"))
    mix = ObjectiveMix({"on": (on, 1.0), "off": (off, 0.0)})
    mix.corrupt(batch([1], [1]), torch.Generator())
    total, named = mix(single_stream(), batch([1], [1]))
    mix.after_step(single_stream())
    assert float(total) == 2.0 and list(named) == ["on"]
    assert [(one.corrupted, one.computed, one.stepped) for one in (on, off)] == [(1, 1, 1), (0, 0, 0)]


def test_one_forward_pass_serves_all_terms():
    model, calls = single_stream(), []
    model.register_forward_hook(lambda *_: calls.append(1))
    mix = _pretraining()
    mix(model, mix.corrupt(batch([5, 3], [4, 2]), torch.Generator().manual_seed(0)))
    assert len(calls) == 1


@pytest.mark.parametrize("off", ["tags", "tokens", "frames"])
def test_common_random_numbers(off):
    """Switching one term off leaves the masks of the others as they were, over several steps."""
    given, full, arm = batch([9, 6], [7, 5]), _pretraining(), _pretraining(**{off: 0.0})
    one, two = torch.Generator().manual_seed(7), torch.Generator().manual_seed(7)
    for _ in range(3):
        all_on, without = full.corrupt(given, one), arm.corrupt(given, two)
        if off != "tokens":
            assert torch.equal(all_on.input_ids, without.input_ids)
            assert torch.equal(all_on.token_labels, without.token_labels)
        if off != "frames":
            assert torch.equal(all_on.frame_selected, without.frame_selected)


def test_corruption_is_a_pure_function_of_the_generator_and_edits_nothing_in_place():
    given, mix = batch([9, 6], [7, 5]), _pretraining()
    ids, frames = given.input_ids.clone(), given.frames.clone()
    first = mix.corrupt(given, torch.Generator().manual_seed(1))
    again = mix.corrupt(given, torch.Generator().manual_seed(1))
    other = mix.corrupt(given, torch.Generator().manual_seed(2))
    assert torch.equal(first.input_ids, again.input_ids) and torch.equal(first.frames, again.frames)
    assert not torch.equal(first.token_labels, other.token_labels)
    assert torch.equal(given.input_ids, ids) and torch.equal(given.frames, frames) and given.token_labels is None
    generator = torch.Generator().manual_seed(1)
    mix.corrupt(given, generator)
    reference = torch.Generator().manual_seed(1)
    torch.randint(2**62, (), generator=reference)
    assert torch.equal(generator.get_state(), reference.get_state())  # one draw a step, whatever the terms use


def test_two_terms_of_one_kind_do_not_share_their_masks():
    given = batch([30, 30], [1, 1])
    terms = {name: (MaskedTokens(WIDTH, VOCABULARY, SPECIAL, rate=0.5), 1.0) for name in ("first", "second")}
    one = ObjectiveMix({"first": terms["first"]}).corrupt(given, torch.Generator().manual_seed(0))
    two = ObjectiveMix({"second": terms["second"]}).corrupt(given, torch.Generator().manual_seed(0))
    assert not torch.equal(one.token_labels, two.token_labels)


def test_heads_are_saved_with_the_mix_and_not_with_the_model():
    mix = _pretraining()
    assert "terms.tags.head.classify.weight" in mix.state_dict()
    assert not any("tags" in name for name in single_stream().state_dict())


def test_gradients_reach_model_and_heads():
    model, mix = single_stream(), _pretraining()
    total, _ = mix(model, mix.corrupt(batch([9, 6], [7, 5]), torch.Generator().manual_seed(0)))
    total.backward()
    untouched = [name for name, p in model.named_parameters() if p.grad is None]
    # A2.3: no pretraining gradient in job 1's projection
    assert untouched == ["head.project.weight", "head.project.bias"]
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in mix.parameters())


def test_bfloat16_autocast_stays_close_to_float32():
    """The same masked batch under CPU autocast: every term finite, float32, and within 2 % of full precision."""
    model, mix = single_stream(), _pretraining()
    corrupted = mix.corrupt(batch([9, 6, 0], [7, 5, 1]), torch.Generator().manual_seed(0))
    _, full = mix(model, corrupted)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        total, low = mix(model, corrupted)
    total.backward()
    for name, value in low.items():
        assert value.dtype == torch.float32
        assert float(value.detach()) == pytest.approx(float(full[name].detach()), rel=0.02)
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)


@pytest.mark.parametrize(
    ("weights", "message"), [((1.0, -0.1), "must not be negative"), ((0.0, 0.0), "no objective has a weight above 0")]
)
def test_bad_weights(weights, message):
    with pytest.raises(ValueError, match=message):
        ObjectiveMix({"a": (Constant(1.0), weights[0]), "b": (Constant(1.0), weights[1])})


def test_missing_labels_name_the_objective():
    given = batch([1], [1])
    with pytest.raises(ValueError, match=r"TagBCE needs batch.tags"):
        ObjectiveMix({"tags": (TagBCE(TAGS, {"cls": WIDTH}), 1.0)})(single_stream(), given.replace(tags=None))
    with pytest.raises(ValueError, match=r"MaskedTokens needs batch.token_labels \(call corrupt first\)"):
        ObjectiveMix({"tokens": (MaskedTokens(WIDTH, VOCABULARY, SPECIAL), 1.0)})(single_stream(), given)
