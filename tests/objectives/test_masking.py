"""Masked tokens and masked frames: who is selected, what it costs."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.objectives import Caption, FirstPicture, MaskedFrames, MaskedTokens, TagBCE
from lib.objectives.masking import frame_nce
from lib.objectives.mix import ObjectiveMix
from tests.golden_models import worst
from tests.golden_rule import load_case
from tests.small import FRAME_DIM, SPECIAL, TAGS, VOCABULARY, WIDTH, batch, outputs, single_stream

SPECIALS = torch.tensor([SPECIAL.pad, SPECIAL.unk, SPECIAL.cls, SPECIAL.sep, SPECIAL.mask])


def _tokens(**options) -> MaskedTokens:
    torch.manual_seed(0)
    return MaskedTokens(WIDTH, VOCABULARY, SPECIAL, **options)


def _frames(**options) -> MaskedFrames:
    torch.manual_seed(0)
    return MaskedFrames(WIDTH, FRAME_DIM, **options)


@given(
    tokens=st.lists(st.integers(0, 20), min_size=1, max_size=5), rate=st.floats(0.01, 0.99), seed=st.integers(0, 2**32)
)
@settings(max_examples=40, deadline=None)
def test_token_selection_touches_only_ordinary_tokens(tokens, rate, seed):
    given = batch(tokens, [1] * len(tokens))
    given.input_ids[0, -1] = SPECIAL.mask if tokens[0] == max(tokens) else given.input_ids[0, -1]
    corrupted = _tokens(rate=rate).corrupt(given, torch.Generator().manual_seed(seed))
    selected = corrupted.token_labels != -100
    assert torch.equal(corrupted.input_ids[~selected], given.input_ids[~selected])
    assert torch.equal(corrupted.token_labels[selected], given.input_ids[selected])
    assert not torch.isin(given.input_ids[selected], SPECIALS).any() and not (selected & ~given.text_mask).any()
    assert corrupted.input_ids.max() < VOCABULARY and corrupted.input_ids.dtype == torch.long


def test_token_shares():
    """A3.1: 15 % selected; of these 80 % [MASK], 10 % random, 10 % unchanged (400,000 tokens, ± 4 standard errors)."""
    ids = torch.randint(5, VOCABULARY, (1000, 400), generator=torch.Generator().manual_seed(0))
    given = batch([1], [1]).replace(input_ids=ids, text_mask=torch.ones_like(ids, dtype=torch.bool))
    corrupted = _tokens().corrupt(given, torch.Generator().manual_seed(1))
    selected = corrupted.token_labels != -100
    now, before = corrupted.input_ids[selected], ids[selected]
    share = {
        "selected": selected.float().mean(),
        "mask": (now == SPECIAL.mask).float().mean(),
        "kept": (now == before).float().mean(),
    }
    # one random token in VOCABULARY is [MASK], and one is the old one
    expected = {"selected": 0.15, "mask": 0.8 + 0.1 / VOCABULARY, "kept": 0.1 + 0.1 / VOCABULARY}
    for name, p in expected.items():
        size = 400_000 if name == "selected" else int(selected.sum())
        assert abs(float(share[name]) - p) < 4 * math.sqrt(p * (1 - p) / size), name
    random = now[(now != SPECIAL.mask) & (now != before)]
    assert set(range(VOCABULARY)) - set(random.tolist()) <= {SPECIAL.mask}  # any id, special ones included


def test_token_loss_against_loops():
    model, objective = single_stream(), _tokens(rate=0.5)
    given = objective.corrupt(batch([6, 2, 0], [2, 1, 1]), torch.Generator().manual_seed(0))
    with torch.no_grad():
        state = model(given)
        losses = []
        for b in range(3):
            for t in range(given.input_ids.shape[1]):
                if given.token_labels[b, t] != -100:
                    logits = objective.head(state.joint.hidden[b, state.text_index[t]])
                    losses.append(float(logits.logsumexp(0) - logits[given.token_labels[b, t]]))
        assert len(losses) >= 3
        assert float(objective(state, given)) == pytest.approx(sum(losses) / len(losses), rel=1e-5)


def test_token_logits_only_at_selected_positions():
    model, objective, rows = single_stream(), _tokens(rate=0.3), []
    objective.head.register_forward_hook(lambda _, __, logits: rows.append(logits.shape))
    given = objective.corrupt(batch([9, 9], [2, 2]), torch.Generator().manual_seed(0))
    objective(model(given), given)
    assert rows == [(int((given.token_labels != -100).sum()), VOCABULARY)] and rows[0][0] < 18


def test_aiac_10_r1_2_token_constant():
    """R1-2: with all logits 0 the term is ln(21128)/3.75 = 2.65556; a random head starts near ln V."""
    objective = MaskedTokens(8, 21128, SPECIAL)
    for parameter in objective.parameters():
        parameter.data.zero_()
    given = batch([1], [1]).replace(token_labels=torch.tensor([[7, -100]]))
    assert float(objective(outputs(torch.randn(1, 4, 8)), given).detach()) / 3.75 == pytest.approx(2.65556, abs=1e-5)


@pytest.mark.parametrize("make", [_tokens, _frames])
def test_nothing_selected_costs_nothing_and_has_a_graph(make):
    model, objective = single_stream(), make()
    given = batch([3], [2])
    given = given.replace(
        token_labels=torch.full_like(given.input_ids, -100),
        frame_selected=torch.zeros_like(given.frame_mask),
        clean_frames=given.frames,
    )
    loss = objective(model(given), given)
    loss.backward()
    assert float(loss.detach()) == 0
    assert all((p.grad == 0).all() for p in objective.parameters()) and model.frames.project.weight.grad is not None


def test_tied_decoder_uses_the_word_table_of_the_encoder():
    model, objective = single_stream(), _tokens(rate=0.5, tied=True)
    assert "head.table" not in dict(objective.named_parameters()) and objective.head.bias.shape == (VOCABULARY,)
    given = objective.corrupt(batch([9, 9], [2, 2]), torch.Generator().manual_seed(0))
    untied = _tokens(rate=0.5)
    untied.head.table.data = model.text.word_table.data.clone()
    untied.load_state_dict(objective.state_dict(), strict=False)
    state = model(given)
    torch.testing.assert_close(objective(state, given), untied(state, given))
    before = torch.autograd.grad(untied(model(given), given), model.text.word_table)[0]
    after = torch.autograd.grad(objective(model(given), given), model.text.word_table)[0]
    assert (after - before).abs().max() > 0  # the decoder's share of the gradient


def test_frame_selection():
    """A3.1 and A7-3: valid frames only, with probability 0.135, replaced by zeros; nothing else is touched."""
    given = batch([1] * 500, [40, 3] * 250)
    corrupted = _frames().corrupt(given, torch.Generator().manual_seed(0))
    selected = corrupted.frame_selected
    assert not (selected & ~given.frame_mask).any() and (corrupted.frames[selected] == 0).all()
    assert torch.equal(corrupted.frames[~selected], given.frames[~selected]) and torch.equal(
        corrupted.clean_frames, given.frames
    )
    count = int(given.frame_mask.sum())
    assert abs(int(selected.sum()) / count - 0.135) < 4 * math.sqrt(0.135 * 0.865 / count)


@pytest.mark.parametrize(
    ("similarity", "temperature"), [("dot", None), ("dot", 2.0), ("cosine", None), ("cosine", 0.5)]
)
def test_frame_loss_against_loops(similarity, temperature):
    model, objective = single_stream(), _frames(rate=0.5, similarity=similarity, temperature=temperature)
    given = objective.corrupt(batch([2, 1, 1], [5, 3, 1]), torch.Generator().manual_seed(0))
    divide = temperature or {"dot": 1.0, "cosine": 0.1}[similarity]
    with torch.no_grad():
        state, losses = model(given), []
        for b, f in given.frame_selected.nonzero().tolist():
            guess, scores = objective.head(state.joint.hidden[b, state.frame_index[f]]), {}
            for c, g in given.frame_mask.nonzero().tolist():
                target = given.clean_frames[c, g]
                size = 1.0 if similarity == "dot" else float(guess.norm() * target.norm())
                scores[c, g] = float(guess @ target) / size / divide
            losses.append(math.log(sum(math.exp(s) for s in scores.values())) - scores[b, f])
        assert len(losses) >= 2
        assert float(objective(state, given)) == pytest.approx(sum(losses) / len(losses), rel=1e-5)


def test_golden_mfm_loss():
    """r1/mfm_loss: the original's calculate_mfm_loss alone, its gradient, and its normalised variant (A7-2)."""
    case = load_case("r1/mfm_loss")
    output, frames = case["in/output"].requires_grad_(), case["in/frames"]
    mask, selected = case["in/frame_mask"].bool(), case["in/selected"].bool()
    video, frame = selected.nonzero(as_tuple=True)
    answer = video * frames.shape[1] + frame
    loss = frame_nce(output[video, frame], frames, mask, answer, "dot", 1.0)
    assert float(loss.detach()) == pytest.approx(float(case["out/loss"]), rel=1e-5)
    loss.backward()
    assert worst(output.grad, case["out/grad_output"]) < 1e-5
    cosine = frame_nce(output.detach()[video, frame], frames, mask, answer, "cosine", 0.1)
    assert float(cosine) == pytest.approx(float(case["out/loss_normalised"]), rel=1e-5)


def test_aiac_10_r1_2_frame_constant():
    """R1-2: a zero head output costs ln(valid frames); 128 full videos of 32: ln 4096 / 9 = 0.924196."""
    mask = torch.ones(128, 32, dtype=torch.bool)
    frames = torch.randn(128, 32, 4)
    loss = frame_nce(torch.zeros(5, 4), frames, mask, torch.arange(5), "dot", 1.0)
    assert float(loss) / 9 == pytest.approx(0.924196, abs=1e-6)
    mask[:, 10:] = False
    assert float(frame_nce(torch.zeros(5, 4), frames, mask, torch.arange(5), "dot", 1.0)) == pytest.approx(
        math.log(1280), rel=1e-6
    )


def test_aiac_10_r1_3_frame_masking():
    """R1-3: padded features change neither loss nor gradient; permuting videos with their masks leaves the loss."""
    model, objective = single_stream(), _frames(rate=0.4)
    given = objective.corrupt(batch([2, 1, 1], [5, 3, 1]), torch.Generator().manual_seed(0))

    def loss_and_gradient(b):
        model.zero_grad()
        loss = objective(model(b), b)
        loss.backward()
        return loss.detach(), model.frames.project.weight.grad.clone()

    loss, gradient = loss_and_gradient(given)
    padded = ~given.frame_mask.unsqueeze(-1)
    garbage = torch.randn(given.frames.shape, generator=torch.Generator().manual_seed(9)) * 7
    changed = given.replace(
        frames=torch.where(padded, garbage, given.frames), clean_frames=torch.where(padded, garbage, given.clean_frames)
    )
    torch.testing.assert_close(loss_and_gradient(changed), (loss, gradient), atol=1e-6, rtol=1e-5)
    order = torch.tensor([2, 0, 1])
    moved = given._map(lambda tensor: tensor[order])
    torch.testing.assert_close(loss_and_gradient(moved)[0], loss, atol=1e-6, rtol=1e-5)


def test_aiac_10_r1_2_sum_of_the_constants():
    """R1-2: 1250/3 ln 2 + ln(21128)/3.75 + ln(4096)/9 = 292.391, the loss of an all-zero model on full videos."""
    total = 1250 / 3 * math.log(2) + math.log(21128) / 3.75 + math.log(4096) / 9
    given = batch([3] * 8, [4] * 8)
    mix = ObjectiveMix(
        {
            "tags": (TagBCE(TAGS, {"cls": WIDTH}), 1250 / 3),
            "tokens": (MaskedTokens(WIDTH, 21128, SPECIAL), 1 / 3.75),
            "frames": (_frames(rate=0.5), 1 / 9),
        }
    )
    for parameter in mix.parameters():
        parameter.data.zero_()
    corrupted = mix.corrupt(given, torch.Generator().manual_seed(0))
    ours, _ = mix(
        single_stream(), corrupted.replace(input_ids=given.input_ids)
    )  # the model knows fewer words than the head
    assert total == pytest.approx(292.391, abs=1e-3)
    assert float(ours.detach()) == pytest.approx(total - (math.log(4096) - math.log(8 * 4)) / 9, rel=1e-6)


def test_wechat_15_system7_5_one_valid_frame():
    """System 7-5: with one valid frame in the whole batch there is one candidate, and the loss is 0."""
    model, objective = single_stream(), _frames(rate=0.99)
    given = objective.corrupt(batch([2], [1]), torch.Generator().manual_seed(0))
    assert given.frame_selected.all() and float(objective(model(given), given).detach()) == 0


def test_frame_scores_in_full_precision_under_autocast():
    """Raw dot products of order 500 differ by less than one bfloat16 step; the loss must not round them."""
    objective = MaskedFrames(8, 4)
    objective.head = torch.nn.Identity()  # the guess is the state itself
    frames = torch.tensor([[[500.0, 0.0, 0.0, 0.0], [500.5, 0.0, 0.0, 0.0]]])
    state = outputs(torch.tensor([[[0.0] * 4, [0.0] * 4, [1.0, 0.0, 0.0, 0.0], [0.0] * 4]]))
    given = batch([1], [2]).replace(frame_selected=torch.tensor([[True, False]]), clean_frames=frames)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = objective(state, given)
    assert float(loss) == pytest.approx(math.log1p(math.exp(0.5)), rel=1e-4)


def test_objectives_need_positions():
    """A fusion to one vector keeps no positions to predict at."""
    state, given = outputs(torch.randn(1, 4, WIDTH)), batch([1], [1])
    state.joint.text_index = state.joint.frame_index = None
    given = given.replace(token_labels=given.input_ids, frame_selected=given.frame_mask, clean_frames=given.frames)
    with pytest.raises(ValueError, match="a fusion that keeps the text positions"):
        _tokens()(state, given)
    with pytest.raises(ValueError, match="a fusion that keeps the frame positions"):
        _frames()(state, given)


def test_the_first_picture_is_hidden_and_found_again():
    given = batch([3, 3, 3, 3], [4, 2, 0, 3])
    hidden = FirstPicture(WIDTH, FRAME_DIM).corrupt(given, torch.Generator())
    assert not hidden.frames[:, 0].any() and torch.equal(hidden.frames[:, 1:], given.frames[:, 1:])
    both = _frames(rate=0.5).corrupt(hidden, torch.Generator().manual_seed(0))
    assert torch.equal(both.clean_frames, given.frames), "masked frames are guessed as they were before either"
    objective = FirstPicture(WIDTH, FRAME_DIM)
    pooled, real = torch.randn(4, WIDTH), [0, 1, 3]
    guess = objective.head(pooled).detach()
    losses = []
    for video in real:
        scores = torch.stack([guess[video] @ given.frames[other, 0] for other in real])
        losses.append(float(scores.logsumexp(0) - scores[real.index(video)]))
    loss = objective(outputs(pooled=pooled), hidden)
    assert float(loss.detach()) == pytest.approx(sum(losses) / 3, rel=1e-5)
    none = objective(outputs(pooled=pooled), hidden.replace(frame_mask=torch.zeros_like(given.frame_mask)))
    assert float(none.detach()) == 0 and none.requires_grad


def test_a_caption_knows_the_video_and_the_words_before():
    """Section 15 of the WeChat 2022 systems, system 7, invariant 6; the text that is written is the one before masking."""
    model, given = single_stream(), batch([6, 5, 1], [3, 2, 1])
    torch.manual_seed(0)
    objective = Caption(WIDTH, VOCABULARY, num_text_slots=12, depth=2).eval()
    seen = model(given)
    later = given.input_ids.clone()
    later[:, 5:] = 7
    one, two = (objective.states(seen, ids, given.text_mask) for ids in (given.input_ids, later))
    assert torch.equal(one[:, :5], two[:, :5]) and not torch.equal(one[:, 5:], two[:, 5:])
    other = model(batch([6, 5, 1], [3, 2, 1], seed=1))
    assert not torch.allclose(one, objective.states(other, given.input_ids, given.text_mask))
    loss = float(objective(seen, given).detach())
    assert loss == pytest.approx(math.log(VOCABULARY), rel=0.25)  # random words, a table of 32 numbers
    masked = _tokens(rate=0.5).corrupt(given, torch.Generator().manual_seed(0))
    assert float(objective(seen, masked).detach()) == pytest.approx(loss), "hidden words are written, not [MASK]"
    pair = objective(seen, given.replace(matched=torch.tensor([1.0, 1.0, 0.0])))
    longer = objective(seen, given.replace(text_mask=given.text_mask & torch.tensor([[True], [True], [False]])))
    assert float(pair.detach()) == pytest.approx(float(longer.detach()))


def test_spans_of_tokens_are_selected_together():
    given = batch([60, 40], [1, 1])
    lengths, share = [], []
    for seed in range(100):
        masked = _tokens(rate=0.15, spans=3).corrupt(given, torch.Generator().manual_seed(seed))
        selected = masked.token_labels[0] != -100
        share.append(float(selected.float().mean()))
        runs = "".join("x" if on else " " for on in selected.tolist()).split()
        lengths += [len(run) for run in runs]
        assert not selected[:2].any() and not selected[62:].any()
    assert 0.11 < sum(share) / 100 < 0.16
    assert all(lengths.count(n) > 0.15 * len(lengths) for n in (1, 2, 3)), "as many of each but where two meet"
