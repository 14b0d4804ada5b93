"""Contrasts: values that follow from their definitions, a copy that follows, a queue, fields that are left out."""

import math

import pytest
import torch

from lib.objectives import InverseCloze, MaskedTokens, ModalAlignment, SimCse, VideoTextAlignment
from lib.objectives.contrast import Keys, Momentum, Queue, unit
from lib.objectives.mix import ObjectiveMix
from tests.small import SPECIAL, VOCABULARY, WIDTH, batch, single_stream


def fielded(tokens=((3, 2, 2), (2, 0, 3), (4, 3, 1), (2, 2, 0)), frames=(3, 2, 0, 4)):
    """Videos with so many tokens of title, OCR and ASR, packed, and so many frames."""
    given = batch([sum(own) + 1 for own in tokens], list(frames))
    field = torch.full(given.input_ids.shape, -1, dtype=torch.int8)
    ids = torch.full_like(given.input_ids, SPECIAL.pad)
    for row, own in enumerate(tokens):
        ids[row, 0], at = SPECIAL.cls, 1
        for number, count in enumerate(own):
            field[row, at : at + count] = number
            ids[row, at : at + count] = given.input_ids[row, 2 : 2 + count] + number
            ids[row, at + count] = SPECIAL.sep
            at += count + 1
    return given.replace(input_ids=ids, text_mask=ids != SPECIAL.pad, field=field)


def corrupted(given, seed=0, **terms):
    mix = ObjectiveMix({name: (term, 1.0) for name, term in terms.items()})
    return mix, mix.corrupt(given, torch.Generator().manual_seed(seed))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(("temperature", "expected"), [(1.0, math.log(1 + 7 / math.e)), (0.05, 7 * math.exp(-20))])
def test_orthonormal_pairs_and_equal_vectors(temperature, expected):
    """Section 15 of the WeChat 2022 systems, system 2, invariant 2."""
    objective, every = SimCse(temperature), torch.ones(8, dtype=torch.bool)
    apart, alike = unit(torch.eye(8), every), unit(torch.ones(8, 3), every)
    assert float(objective.ask(apart, apart)) == pytest.approx(expected, abs=2e-7)
    assert float(objective.ask(alike, alike)) == pytest.approx(math.log(8))


def test_what_is_not_real_neither_asks_nor_answers():
    objective, vectors = SimCse(1.0), torch.randn(5, 4, generator=generator())
    real = torch.tensor([True, False, True, True, False])
    some, all_real = unit(vectors, real), unit(vectors[real], real[real])
    assert float(objective.ask(some, some)) == pytest.approx(float(objective.ask(all_real, all_real)))
    empty = objective.ask(unit(vectors.requires_grad_(), ~real & real), some)
    assert float(empty.detach()) == 0 and empty.requires_grad


def test_a_copy_follows():
    """System 3, invariant 2: after t steps copy - own = m^t (copy_0 - own)."""
    own, other = torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)
    momentum, apart = Momentum(0.9, part=other), (other.weight - own.weight).detach().clone()
    for _ in range(5):
        momentum.follow(part=own)
    torch.testing.assert_close(other.weight - own.weight, 0.9**5 * apart)
    momentum.follow(0.0, part=own)
    assert torch.equal(other.weight, own.weight) and not other.weight.requires_grad


def test_a_queue_holds_the_last_keys_in_order():
    """System 3, invariant 3, and nothing that has not been filled."""
    queue, pushed = Queue(5, 1), torch.arange(12.0)[:, None]
    for start in range(0, 12, 3):
        queue.push(Keys(pushed[start : start + 3], torch.ones(3, dtype=torch.bool)))
        assert int(queue.real.sum()) == min(5, start + 3)
    assert sorted(queue.vectors.flatten().tolist()) == [7, 8, 9, 10, 11] and int(queue.at) == 12 % 5
    queue.push(Keys(pushed[:7], torch.ones(7, dtype=torch.bool)))
    assert sorted(queue.vectors.flatten().tolist()) == [2, 3, 4, 5, 6], "the newest of a batch that is longer"


def test_a_text_finds_itself():
    """System 2, invariant 5: without dropout both passes are one; with it they differ."""
    model, given = single_stream(), batch([6, 5, 4], [2, 2, 2])
    mix, ready = corrupted(given, itself=SimCse())
    term, views = mix.terms["itself"], ready.views["itself"]
    seen = {name: model(view.batch, view.sees) for name, view in views.items()}
    own = term.vectors(seen, term.project)
    torch.testing.assert_close((own["first"].vectors * own["second"].vectors).sum(1), torch.ones(3))
    assert float(mix.train()(model.train(), ready)[0].detach()) != pytest.approx(
        float(term(seen, given).detach()), rel=1e-3
    )


def test_a_field_asks_for_the_rest_of_its_video():
    given, asked = fielded(((3, 2, 2), (2, 0, 3), (4, 0, 0), (2, 2, 0))), set()
    for seed in range(30):
        views = InverseCloze().views(given, given, generator(seed))
        query, rest = views["query"].batch, views["rest"].batch
        for row in range(4):
            fields = [set(view.field[row][view.field[row] >= 0].tolist()) for view in (query, rest)]
            assert len(fields[0]) == 1 and not fields[0] & fields[1]
            assert fields[0] | fields[1] == set(given.field[row][given.field[row] >= 0].tolist())
            asked |= {(row, *fields[0])}
        assert views["query"].sees == "text" and views["rest"].sees == "both"
        assert query.input_ids.shape[1] < given.input_ids.shape[1]
    assert asked == {(0, 0), (0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (3, 0), (3, 1)}, "every field that is not empty"
    seen = {name: single_stream()(view.batch, view.sees) for name, view in views.items()}
    assert InverseCloze().real(seen).tolist() == [True, True, False, True], "a video of one field takes no part"


@pytest.mark.parametrize(("at", "names"), [("alone", ["text", "frames"]), ("encoders", ["both"]), ("fused", ["both"])])
def test_alignment_before_and_after_fusion(at, names):
    model, given = single_stream(), batch([6, 5, 4], [2, 3, 0])
    term = VideoTextAlignment(WIDTH, WIDTH, WIDTH, at=at, dim=8)
    mix, ready = corrupted(given, words=MaskedTokens(WIDTH, VOCABULARY, SPECIAL, rate=0.5), alignment=term)
    assert list(ready.views["alignment"]) == names
    total, _ = mix(model, ready)
    total.backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in term.parameters())
    other = given.replace(frames=given.frames.flip(0))
    moved = {name: torch.cat([term.vectors({label: model(b, v.sees) for label, v in ready.views["alignment"].items()},
             term.project)[name].vectors for b in (given, other)]) for name in ("text", "frames")}  # fmt: skip
    assert torch.equal(*moved["text"].chunk(2)) == (at != "fused"), "only after fusion does a text know its frames"
    assert not torch.equal(*moved["frames"].chunk(2))


def test_videos_of_one_category_belong_together():
    model, given = single_stream(), batch([6, 5, 4, 3], [2, 3, 2, 1])
    losses = {}
    for name, category in (("apart", [0, 1, 2, 3]), ("two", [0, 0, 1, 2]), ("unknown", [-100, -100, -100, -100])):
        torch.manual_seed(0)
        term = VideoTextAlignment(WIDTH, WIDTH, WIDTH, dim=8, positives="category")
        mix, ready = corrupted(given.replace(category=torch.tensor(category)), alignment=term)
        losses[name] = float(mix(model, ready)[0].detach())
    assert losses["apart"] == losses["unknown"] != losses["two"]


@pytest.mark.parametrize("which", [0, 1, 2, 3])
def test_a_modality_is_left_out_and_the_sequence_shortened(which):
    """System 3, invariant 1: six pairs, three without one of the four; masks of other terms stay."""
    given = fielded(((3, 2, 2), (2, 2, 3), (4, 3, 1), (0, 0, 0)), frames=(3, 2, 1, 4))
    words = MaskedTokens(WIDTH, VOCABULARY, SPECIAL, rate=0.5).corrupt(given, generator())
    term, seed = ModalAlignment(WIDTH, queue=0, dim=8), 0
    while True:
        seed += 1
        draws = generator(seed)
        torch.rand((), generator=draws)
        if int(torch.randint(4, (), generator=draws)) == which:
            break
    left = term.corrupt(words, generator(seed))
    lacking = [~left.frame_mask.any(1), *((left.field != number).all(1) for number in range(3))][which]
    assert lacking.tolist()[:3] == [True] * 3 and left.frame_mask[3].any(), "a video's only modality stays"
    if which:
        assert left.input_ids.shape[1] < words.input_ids.shape[1]
        assert set(left.token_labels[0].tolist()) <= set(words.token_labels[0].tolist())
    kept = ModalAlignment(WIDTH, queue=0, dim=8, drop=0.0).corrupt(words, generator(seed))
    assert kept is words
    views = term.views(given, left, generator())
    assert len(views) == (4 if which == 0 else 3), "frames are still seen, for the video that has nothing else"
    seen = {name: single_stream()(view.batch, view.sees) for name, view in views.items()}
    own = term.vectors(seen, term.project)
    pairs = [a for a in own for b in own if a < b and (own[a].real & own[b].real).any()]
    assert len(pairs) == 3 and len(own) == 4
    assert float(term(seen, left).detach()) > 0


@pytest.mark.parametrize(("tokens", "pairs"), [((3, 2, 2), 6), ((3, 0, 2), 3), ((3, 0, 0), 1)])
def test_as_many_pairs_as_what_is_there_allows(tokens, pairs):
    """System 3, invariant 1, in the loss: of equal vectors every pair costs ln 2, and the mean is over those that are there."""
    given, term = fielded((tokens, tokens), frames=(2, 3)), ModalAlignment(WIDTH, queue=0, dim=8, drop=0.0)
    views, asked = term.views(given, given, generator()), []
    seen = {name: single_stream()(view.batch, view.sees) for name, view in views.items()}
    own = term.ask
    term.ask = lambda asking, keys, twin: asked.append(bool((asking.real & keys.real).any())) or own(asking, keys, twin)
    with torch.no_grad():
        for weight in term.project.parameters():
            weight.fill_(1.0)
        assert float(term(seen, given)) == pytest.approx(math.log(2), rel=1e-5)
    assert sum(asked) == 2 * pairs and len(asked) == 12


@pytest.mark.parametrize(
    ("kinds", "views", "queue"), [("pairs", 4, 0), ("pairs", 4, 6), ("combinatorial", 6, 0), ("tcl", 2, 6)]
)
def test_every_reading_of_the_alignment_learns(kinds, views, queue):
    model, given = single_stream(), fielded()
    term = ModalAlignment(WIDTH, kinds, dim=8, drop=0.0, queue=queue, model=model)
    mix, ready = corrupted(given, alignment=term)
    assert len(ready.views["alignment"]) == views
    mix.train()
    losses = []
    optimizer = torch.optim.Adam([p for p in [*model.parameters(), *mix.parameters()] if p.requires_grad], 1e-2)
    for _ in range(14):
        total, _ = mix(model, ready)
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        mix.after_step(model)
        losses.append(float(total.detach()))
    assert losses[-1] < losses[2 if queue else 0], "a queue of six is full after two steps"
    if queue:
        some = next(iter(term.queues.values()))
        assert int(some.at) == 14 * 4 % 6 and some.real.any()
        torch.testing.assert_close(some.vectors[some.real].norm(dim=1), torch.ones(int(some.real.sum())))
        twin = term.copy.copies["model"].text.word_table
        assert not torch.equal(twin, model.text.word_table) and twin.grad is None
        mix.start(model)
        assert torch.equal(twin, model.text.word_table)


@pytest.mark.parametrize("kinds", ["pairs", "combinatorial", "tcl"])
def test_every_reading_does_without_the_frames(kinds):
    model, given = single_stream(), fielded(frames=(3, 2, 1, 4))
    term = ModalAlignment(WIDTH, kinds, dim=8, queue=6, model=model)
    left = given.replace(frame_mask=torch.zeros_like(given.frame_mask))
    views = term.views(given, left, generator())
    assert views and not any("frames" in name for name in views)
    loss = term({name: model(view.batch, view.sees) for name, view in views.items()}, left)
    loss.backward()
    assert float(loss.detach()) > 0


def test_evaluation_leaves_queue_and_copy_alone():
    model, given = single_stream(), batch([6, 5, 4], [2, 3, 2])
    term = VideoTextAlignment(WIDTH, WIDTH, WIDTH, dim=8, queue=4, soft=0.4, model=model)
    mix, ready = corrupted(given, alignment=term)
    mix.eval()
    mix(model, ready)
    mix.after_step(model)
    assert not term.queues["text"].real.any()


@pytest.mark.parametrize(
    ("options", "message"),
    [({"soft": 0.4}, "only with a queue"),
     ({"queue": 4, "positives": "category", "model": single_stream()}, "holds no categories")],
)  # fmt: skip
def test_wrong_settings_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        VideoTextAlignment(WIDTH, WIDTH, WIDTH, **options)
    with pytest.raises(ValueError, match="momentum copy"):
        ModalAlignment(WIDTH, "tcl", queue=0)
    with pytest.raises(ValueError, match="batch.field"):
        InverseCloze().views(batch([1], [1]), batch([1], [1]), generator())
