"""Cross entropy with its switches, against plain loops."""

import math

import pytest
import torch
import torch.nn.functional as F

from lab.corpora.twin.random import facts
from lib.objectives import CategoryCE
from lib.objectives.category import class_balanced_weights
from tests.small import WIDTH, batch, outputs, single_stream

LOGITS = torch.randn(4, 3, generator=torch.Generator().manual_seed(5)) * 2
CATEGORY = torch.tensor([2, 0, -100, 1])
COUNTS = [100, 10, 1]


def _given(category=CATEGORY):
    return batch([1] * len(category), [1] * len(category)).replace(category=category)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("gamma", [0.0, 2.0])
@pytest.mark.parametrize("beta", [None, 0.99])
def test_against_loops(smoothing, gamma, beta):
    weights = [1.0] * 3
    if beta is not None:
        raw = [(1 - beta) / (1 - beta**n) for n in COUNTS]
        weights = [3 * w / sum(raw) for w in raw]
    losses = []
    for row, y in enumerate(CATEGORY.tolist()):
        if y == -100:
            continue
        e = [math.exp(float(x)) for x in LOGITS[row]]
        p = [x / sum(e) for x in e]
        target = [smoothing / 3 + (1 - smoothing) * (c == y) for c in range(3)]
        cross = -sum(t * math.log(q) for t, q in zip(target, p, strict=True))
        losses.append(weights[y] * (1 - p[y]) ** gamma * cross)
    objective = CategoryCE(label_smoothing=smoothing, focal_gamma=gamma, class_balance=beta, class_counts=COUNTS)
    assert float(objective(outputs(logits=LOGITS), _given())) == pytest.approx(sum(losses) / 3, rel=1e-5)


def test_wechat_15_system1_10_label_smoothing():
    """System 1-10: smoothing 0.1 over 200 classes costs 5.298317 at uniform logits and at least 0.850667."""
    objective, given = CategoryCE(label_smoothing=0.1), _given(torch.tensor([3]))
    assert float(objective(outputs(logits=torch.zeros(1, 200)), given)) == pytest.approx(5.298317, abs=1e-6)
    best = torch.full((1, 200), math.log(0.1 / 200))
    best[0, 3] = math.log(0.9 + 0.1 / 200)
    assert float(objective(outputs(logits=best), given)) == pytest.approx(0.850667, abs=1e-6)


@pytest.mark.parametrize(
    "beta, shares",
    [(0.0, (0.00422, 0.02110, 0.97468)), (0.9, (0.03949, 0.04822, 0.91229)), (0.99, (0.21827, 0.22268, 0.55905))],
)
def test_what_categories_of_1_5_and_231_videos_have_of_the_gradient(beta, shares):
    """By hand n (1 - beta) / (1 - beta^n): at 0.99 it is 1, 1.0203 and 2.5613. One batch holds all videos, all logits are 0."""
    counts = [1, 5, 231]
    target = torch.arange(3).repeat_interleave(torch.tensor(counts))
    logits = torch.zeros(len(target), 3, requires_grad=True)
    CategoryCE(class_balance=beta, class_counts=counts)(outputs(logits=logits), _given(target)).backward()
    pull = torch.stack([part.abs().sum() for part in logits.grad.split(counts)])
    assert (pull / pull.sum()).tolist() == pytest.approx(shares, abs=2e-5)


def test_nothing_known_costs_nothing_and_has_a_graph():
    x = LOGITS.clone().requires_grad_()
    loss = CategoryCE(label_smoothing=0.1, focal_gamma=2.0)(outputs(logits=x), _given(torch.full((4,), -100)))
    loss.backward()
    assert float(loss.detach()) == 0 and (x.grad == 0).all()


@pytest.mark.parametrize("gap", [0.0, 80.0, 1e4])
@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_focal_gradient_is_finite_for_certain_predictions(gap, gamma):
    for right in (0, 1):
        x = torch.tensor([[gap, 0.0]], requires_grad=True)
        CategoryCE(focal_gamma=gamma)(outputs(logits=x), _given(torch.tensor([right]))).backward()
        assert x.grad.isfinite().all()


def test_bfloat16_logits():
    low = (LOGITS * 50).bfloat16()
    value = CategoryCE()(outputs(logits=low), _given())
    assert value.dtype == torch.float32 and float(value) == pytest.approx(
        float(CategoryCE()(outputs(logits=low.float()), _given()))
    )


def test_class_balanced_weights_of_the_published_counts():
    """wechat2022 §2.2 and §15, system 3-4: the range of the weights and their ratio, for four values of beta."""
    assert class_balanced_weights([0, 5], 0.9).isfinite().all()
    counts = list(facts("wechat2022")["class_counts"].values())
    ranges = {0.9: (0.9941, 1.2889), 0.99: (0.6033, 4.5961), 0.999: (0.0964, 6.9313), 0.9999: (0.0154, 7.2261)}
    for beta, ratio in ((0.9, 1.2966), (0.99, 7.6188), (0.999, 71.8923), (0.9999, 468.517)):
        weights = class_balanced_weights(counts, beta)
        assert float(weights.sum()) == pytest.approx(200, rel=1e-5)
        assert float(weights.max() / weights.min()) == pytest.approx(ratio, rel=1e-4)
        assert (float(weights.min()), float(weights.max())) == pytest.approx(ranges[beta], abs=1e-4)


def test_neutral_values_are_cross_entropy_to_the_bit():
    """Smoothing 0, gamma 0, beta 0, tau 0, mixup 0 and mixup with share 1, together and alone."""
    plain = CategoryCE()(outputs(logits=LOGITS), _given())
    expected = F.cross_entropy(LOGITS, CATEGORY, ignore_index=-100, reduction="sum") / 3
    torch.testing.assert_close(plain, expected, rtol=1e-6, atol=0)
    neutral = {"label_smoothing": 0.0, "focal_gamma": 0.0, "class_balance": 0.0, "logit_adjust": 0.0, "mixup": 0.0}
    for name, value in neutral.items():
        alone = CategoryCE(**{name: value}, class_counts=COUNTS)
        assert torch.equal(alone(outputs(logits=LOGITS), _given()), plain)
    assert torch.equal(CategoryCE(**neutral, class_counts=COUNTS)(outputs(logits=LOGITS), _given()), plain)
    known = torch.tensor([2, 0, 1, 1])
    mixed = CategoryCE(mixup=1.0).mixed(LOGITS, known, 1.0, torch.tensor([3, 2, 1, 0]))
    assert torch.equal(mixed, CategoryCE()(outputs(logits=LOGITS), _given(known)))


def test_logit_adjustment_against_loops():
    total, losses = sum(COUNTS), []
    for row, y in zip(LOGITS.tolist(), CATEGORY.tolist(), strict=True):
        moved = [x + 0.7 * math.log(n / total) for x, n in zip(row, COUNTS, strict=True)]
        if y != -100:
            losses.append(math.log(sum(math.exp(x) for x in moved)) - moved[y])
    objective = CategoryCE(logit_adjust=0.7, class_counts=COUNTS)
    assert float(objective(outputs(logits=LOGITS), _given())) == pytest.approx(sum(losses) / 3, rel=1e-5)
    assert CategoryCE(logit_adjust=1.0, class_counts=[0, 3, 1]).prior.isfinite().all()
    state = CategoryCE(class_balance=0.9, logit_adjust=0.7, class_counts=COUNTS).state_dict()
    assert not {"weight", "prior"} & set(state)


def test_mixup_against_loops():
    """Share 0.75, each with the next; the unknown third takes the second, who would mix with it, out of the mean."""
    share, other, losses = 0.75, torch.tensor([1, 2, 3, 0]), []
    for row, y in enumerate(CATEGORY.tolist()):
        partner = int(other[row])
        if -100 in (y, int(CATEGORY[partner])):
            continue
        z = share * LOGITS[row] + (1 - share) * LOGITS[partner]
        logs = z.log_softmax(0)
        losses.append(-share * float(logs[y]) - (1 - share) * float(logs[CATEGORY[partner]]))
    value = CategoryCE(mixup=0.2).mixed(LOGITS, CATEGORY, share, other)
    assert len(losses) == 2 and float(value) == pytest.approx(sum(losses) / 2, rel=1e-5)


def test_mixup_draws_from_the_seeded_stream_and_rests_outside_training():
    objective = CategoryCE(mixup=0.2)
    values = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        values.append(float(objective(outputs(logits=LOGITS), _given())))
    assert values[0] == values[1] != values[2]
    plain = CategoryCE()(outputs(logits=LOGITS), _given())
    assert torch.equal(objective.eval()(outputs(logits=LOGITS), _given()), plain)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"class_balance": 0.99}, "class_balance needs the class counts"),
        ({"logit_adjust": 1.0}, "logit_adjust needs the class counts"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        CategoryCE(**settings)


@pytest.mark.parametrize("of", ["text", "frames"])
def test_an_encoder_learns_for_itself(of):
    """Of the encoder's own states, so that the other side gets no gradient."""
    model, given = single_stream(), _given()
    objective = CategoryCE(of=of, num_classes=3, text_dim=WIDTH, frames_dim=WIDTH, label_smoothing=0.1)
    seen = model(given)
    loss = objective(seen, given)
    loss.backward()
    states = getattr(seen, of)
    means = torch.stack([h[m].mean(dim=0) for h, m in zip(states.hidden, states.mask, strict=True)])
    expected = F.cross_entropy(objective.classify(means), CATEGORY, label_smoothing=0.1, ignore_index=-100)
    assert float(loss.detach()) == pytest.approx(float(expected.detach()))
    touched = {name.split(".")[0] for name, p in model.named_parameters() if p.grad is not None}
    assert touched == {of}
