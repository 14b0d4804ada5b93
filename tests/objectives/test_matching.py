"""Exchanging frames inside a batch: who gets whose, what moves along, what the loss says (WeChat system 1, ITM-rev)."""

import pytest
import torch

from lib.objectives import HardMatching, MaskedFrames, MaskedTokens, VideoTextAlignment, VideoTextMatching
from lib.objectives.matching import bernoulli, hard_negatives, reversed_half
from lib.objectives.mix import ObjectiveMix
from tests import small


def _generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(("count", "positives"), [(2, 2), (3, 1), (25, 13), (26, 14), (49, 25), (50, 26)])
def test_invariant_4_of_reversed_halves(count, positives):
    """The published counts; the middle one of an odd half stays matched (R7); twice is the identity."""
    source = reversed_half(count)
    assert int((source == torch.arange(count)).sum()) == positives
    assert torch.equal(source[source], torch.arange(count))


@pytest.mark.parametrize("count", [1, 2, 3, 4, 9, 32])
def test_a_derangement_leaves_nobody_of_its_half_in_place(count):
    given = small.batch([4] * count, [5] * count)
    seen = set()
    for seed in range(20):
        found = VideoTextMatching(8).corrupt(given, _generator(seed))
        own = (found.frames == given.frames).flatten(1).all(dim=1)
        assert found.matched.tolist() == own.float().tolist()
        assert int((~own).sum()) == (0 if count == 1 else max(2, count // 2))
        seen.add(tuple(found.matched.tolist()))
    assert len(seen) > 1 or count < 3, "another half in every batch"


def test_everything_of_the_frames_moves_and_the_given_batch_stays():
    """R6 mended: the mask goes with its frames, also what another objective has hidden before."""
    given = small.batch([4, 3, 2, 5, 1], [5, 2, 3, 1, 4])
    given = MaskedFrames(small.WIDTH, small.FRAME_DIM, rate=0.5).corrupt(given, _generator())
    before = [given.frames.clone(), given.frame_mask.clone()]
    found = VideoTextMatching(8, kind="reversed_half").corrupt(given, _generator())
    source = reversed_half(5)
    for name in ("frames", "frame_mask", "frame_selected", "clean_frames"):
        assert torch.equal(getattr(found, name), getattr(given, name)[source]), name
    for name in ("input_ids", "text_mask", "category", "rows"):
        assert getattr(found, name) is getattr(given, name), name
    assert torch.equal(given.frames, before[0]) and torch.equal(given.frame_mask, before[1]) and given.matched is None
    ignored = VideoTextMatching(8, frame_mask="ignore").corrupt(given, _generator())
    assert ignored.frame_mask.all() and ignored.frame_mask.shape == given.frame_mask.shape


def test_words_of_mismatched_videos_are_not_guessed():
    """R7 mended: the loss over the matched alone; with ``matched_only`` false all count."""
    model = small.single_stream()
    tokens = MaskedTokens(small.WIDTH, small.VOCABULARY, small.SPECIAL, rate=0.5)
    given = tokens.corrupt(small.batch([8, 8, 8, 8], [3, 3, 3, 3]), _generator()).replace(
        matched=torch.tensor([1.0, 0.0, 1.0, 0.0])
    )
    outputs = model(given)
    hidden = given.replace(token_labels=given.token_labels.clone())
    hidden.token_labels[[1, 3]] = -100
    assert float(tokens(outputs, given).detach()) == float(tokens(outputs, hidden).detach())
    tokens.matched_only = False
    assert float(tokens(outputs, given).detach()) != float(tokens(outputs, hidden).detach())
    none = given.replace(matched=torch.zeros(4))
    tokens.matched_only = True
    loss = tokens(outputs, none)
    assert float(loss.detach()) == 0 and loss.requires_grad


def test_loss_and_accuracy():
    objective = VideoTextMatching(2)
    with torch.no_grad():
        objective.classify.weight.copy_(torch.tensor([[1.0, 0.0]]))
    given = small.batch([1, 1, 1], [1, 1, 1]).replace(matched=torch.tensor([1.0, 1.0, 0.0]))
    outputs = small.outputs(pooled=torch.tensor([[2.0, 0.0], [0.25, 0.0], [-1.0, 0.0]]))
    expected = torch.nn.functional.softplus(torch.tensor([-2.0, -0.25, -1.0])).mean()
    assert float(objective(outputs, given).detach()) == pytest.approx(float(expected))
    assert float(objective.accuracy(outputs, given)) == pytest.approx(1.0)
    objective.threshold = 0.5  # R8: the second, at 0.25, counts as mismatched
    assert float(objective.accuracy(outputs, given)) == pytest.approx(2 / 3)


def test_wrong_settings_are_refused():
    with pytest.raises(ValueError, match="call corrupt first"):
        VideoTextMatching(2)(small.outputs(pooled=torch.zeros(1, 2)), small.batch([1], [1]))


def test_each_video_is_exchanged_with_probability_one_half():
    """Section 15 of the WeChat 2022 systems, system 2, invariant 3; the others' frames are drawn evenly."""
    generator, place, drawn = _generator(), torch.arange(5), torch.zeros(5, 5)
    for _ in range(4000):
        drawn[place, bernoulli(5, generator)] += 1
    share = drawn / 4000
    assert (share.diag() - 0.5).abs().max() < 0.03 and float(share.diag().mean()) == pytest.approx(0.5, abs=0.015)
    assert (share[~torch.eye(5, dtype=torch.bool)] - 0.125).abs().max() < 0.02
    assert bernoulli(1, generator).tolist() == [0]
    given = small.batch([4] * 9, [5] * 9)
    found = VideoTextMatching(8, kind="bernoulli").corrupt(given, _generator(3))
    assert 0 < found.matched.sum() < 9 and torch.equal(found.frames[0], given.frames[bernoulli(9, _generator(3))[0]])


def test_hard_negatives_follow_the_similarities_and_are_never_the_video_itself():
    scores = torch.tensor([[9.0, 0.0, 1.0], [0.0, 9.0, 9.0], [0.0, 0.0, 0.0]])
    drawn = torch.stack([hard_negatives(scores, draw.expand(3)) for draw in torch.linspace(0, 1, 3001)[:-1]])
    assert (drawn != torch.arange(3)).all()
    shares = [float((drawn[:, row] == column).float().mean()) for row, column in ((0, 2), (1, 2), (2, 0))]
    assert shares == pytest.approx([torch.e / (1 + torch.e), 1.0, 0.5], abs=1e-3)


def test_hard_matching_in_a_stage():
    """Fusion sees each text with other frames; a view that another term has is not run again."""
    model, given, calls = small.single_stream(), small.batch([4, 3, 5, 6], [3, 2, 1, 4]), []
    model.fusion.register_forward_hook(lambda _, states, __: calls.append(len(states[0].hidden)))
    terms = {
        "alignment": (VideoTextAlignment(small.WIDTH, small.WIDTH, small.WIDTH, "encoders", dim=8), 1.0),
        "matching": (HardMatching(small.WIDTH), 1.0),
    }
    mix = ObjectiveMix(terms)
    ready = mix.corrupt(given, _generator())
    total, named = mix(model, ready)
    total.backward()
    assert calls == [4, 8] and all(p.grad is not None for p in mix.parameters())
    term, own = mix.terms["matching"], model(given)
    with torch.no_grad():
        term.classify.weight.zero_()
        term.classify.bias.fill_(2.0)
        loss = term.pairs(own, torch.tensor([1, 0, 3, 3]), torch.tensor([1, 2, 0, 0]))
    right, wrong = torch.nn.functional.softplus(torch.tensor([-2.0, 2.0]))
    assert float(loss) == pytest.approx(float((5 * right + 7 * wrong) / 12)), "itself is no mismatch"
    with pytest.raises(ValueError, match="name a VideoTextAlignment"):
        alone = ObjectiveMix({"matching": (term, 1.0)})
        alone(model, alone.corrupt(given, _generator()))
