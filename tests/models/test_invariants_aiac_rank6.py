"""AIAC rank 6: invariants of the specification (§10 R6), and that no padding reaches an embedding by default."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lib.evaluation.blend import BlendMaps, blend_features
from lib.models import CrossModal, WordVectors
from lib.models.video_model import States
from lib.objectives.tags import focal_with_logits
from tests.golden_models_aiac_rank6 import MODELS, model
from tests.golden_rule import without_dropout
from tests.small import FRAME_DIM, VOCABULARY, batch

WIDTHS = {"erc": {"width": 16, "channels": 8}, "esim": {"width": 16}, "lstm": {"width": 16}}
WIDTHS["lstm_nextvlad"] = {"output_dim": 16}
SIZES = {"dim": 12, "embedding": 16, "text_backbone": "tiny-1x32", "layer": "tiny-1x32", "layers": "tiny-2x32"}


def small(name, faithful=False, **changes):
    torch.manual_seed(0)
    sizes = {"vocab_size": VOCABULARY, "frame_dim": FRAME_DIM, "slots": (20, 20), "widths": WIDTHS.get(name)}
    built = model(name, faithful=faithful, **sizes, **(SIZES | changes))
    for part in built.modules():
        if isinstance(part, torch.nn.Embedding):  # padding must not be hidden by zeros
            torch.nn.init.normal_(part.weight)
    return built.eval()


def embed(built, given):
    with torch.no_grad():
        return built(given).embedding


def test_10_r6_1_focal_loss():
    """1: clamping the logarithm changes nothing for |logit| < 9; the values at p = 0.5 are in ``test_tags``."""
    logits = torch.linspace(-9, 9, 181)
    for target in (torch.zeros(181), torch.ones(181)):
        clamped, free = (focal_with_logits(logits, target, 2.0, 0.99, clamp=c) for c in (1e-4, 0.0))
        torch.testing.assert_close(clamped, free, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("faithful", [True, False])
@pytest.mark.parametrize("name", ["light_lxmert", "gru_lxmert"])
def test_10_r6_4_order(name, faithful):
    """4: without positions the words and frames after the first may change places; with a GRU they may not."""
    built, given = small(name, faithful), batch([5, 5], [6, 6])
    order = torch.tensor([0, 3, 5, 1, 4, 2])
    changed = {
        "frames": given.replace(frames=given.frames[:, order]),
        "words": given.replace(input_ids=torch.cat([given.input_ids[:, :2], given.input_ids[:, 2:].flip(1)], dim=1)),
    }
    for what, other in changed.items():
        moved = float((embed(built, other) - embed(built, given)).abs().max())
        assert (moved < 1e-5) == (name == "light_lxmert"), what
    swapped = given.replace(frames=given.frames[:, [1, 0, 2, 3, 4, 5]])
    assert float((embed(built, swapped) - embed(built, given)).abs().max()) > 1e-3


def test_10_r6_5_blender():
    """5: the published layout, what a member reaches, and that three maps are one vector."""
    embeddings = np.random.default_rng(0).normal(size=(5, 8, 256)).astype(np.float32)
    features = blend_features(embeddings)
    concat = embeddings.reshape(5, -1)
    assert all(features[n, j, k] == concat[n, 8 * j + k] for n in range(5) for j in (0, 31, 32, 255) for k in range(8))
    torch.manual_seed(0)
    blend = BlendMaps(8)
    with torch.no_grad():
        collapsed = torch.from_numpy(features) @ blend.weights
        torch.testing.assert_close(blend(torch.from_numpy(features)), F.normalize(collapsed, dim=-1), atol=1e-6, rtol=0)
        for member in range(8):
            without = embeddings.copy()
            without[:, member] = 0
            changed = (torch.from_numpy(blend_features(without)) @ blend.weights != collapsed).all(dim=0)
            assert changed.nonzero().squeeze(1).tolist() == list(range(32 * member, 32 * member + 32))
    assert np.array_equal(blend_features(embeddings, "stack"), embeddings.transpose(0, 2, 1))


def test_10_r6_6_esim_masks():
    """6: true masks make an embedding independent of its batch, masks of ones do not."""
    given = batch([5, 2, 8], [4, 7, 3])
    row = given._map(lambda tensor: tensor[1:2])
    for faithful, same in ((False, True), (True, False)):
        built = small("esim", faithful)
        distance = float((embed(built, row)[0] - embed(built, given)[1]).abs().max())
        assert (distance < 1e-5) == same


def test_10_r6_6_cross_modal_masks():
    """6: neg_inf ignores padded frames; with additive01 a real and a padded slot of equal logits weigh e : 1."""
    given = batch([5, 2], [4, 7])
    other = given.replace(frames=given.frames.masked_fill(~given.frame_mask.unsqueeze(-1), 3.0))
    built, quirk = small("lxmert"), small("lxmert", faithful=True)
    torch.testing.assert_close(embed(built, other), embed(built, given), atol=1e-6, rtol=0)
    assert float((embed(quirk, other) - embed(quirk, given)).abs().max()) > 1e-3
    fusion = CrossModal(32, 32, "tiny-1x32", mask="additive01").eval()
    torch.nn.init.zeros_(fusion.layers[0].visual_attention.att.query.weight)  # every logit becomes the mask itself
    torch.nn.init.zeros_(fusion.layers[0].visual_attention.att.query.bias)
    text = States(torch.randn(1, 3, 32), torch.ones(1, 3, dtype=torch.bool))
    frames = States(torch.randn(1, 2, 32), torch.tensor([[True, False]]))
    biases = [fusion._bias(side, side.mask, torch.float32) for side in (text, frames)]
    weights = fusion.layers[0](text.hidden, biases[0], frames.hidden, biases[1], output_attentions=True)[2]
    torch.testing.assert_close(weights[..., 0] / weights[..., 1], torch.full_like(weights[..., 0], math.e))


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", MODELS)
def test_padding_never_reaches_an_embedding(name, training):
    """By default neither longer padding nor what stands in it matters; while training not for batch norms either."""
    built = without_dropout(small(name)) if training else small(name)
    state = {key: value.clone() for key, value in built.state_dict().items()}
    tight, wide = batch([5, 2, 8], [4, 7, 3]), batch([5, 2, 8], [4, 7, 3], slots=(20, 19))
    first = embed(built, tight)
    built.load_state_dict(state)
    torch.testing.assert_close(embed(built, wide), first, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", [name for name in MODELS if name != "lxmert"])
def test_title_without_known_words(name):
    """B7-15: it is one padding word, whatever the length of the batch; the embedding stays finite, so do gradients."""
    built = small(name)
    given = batch([5, 2], [4, 7])
    empty = given.input_ids.clone()
    empty[1] = 0
    given = given.replace(input_ids=empty, text_mask=empty != 0)
    alone = given._map(lambda tensor: tensor[1:2])
    torch.testing.assert_close(embed(built, alone)[0], embed(built, given)[1], atol=1e-5, rtol=0)
    built.train()
    built(given).embedding.square().sum().backward()
    assert all(bool(p.grad.isfinite().all()) for p in built.parameters() if p.grad is not None)


def test_every_parameter_learns_by_default():
    for name in MODELS:
        built = small(name).train()
        built(batch([5, 2], [4, 7])).embedding.square().sum().backward()
        assert [key for key, parameter in built.named_parameters() if parameter.grad is None] == [], name


def test_mean_pooling_of_the_streams():
    """B7-12: with the mean over real positions light_lxmert does not care about the order at all."""
    built = small("light_lxmert")
    built.fusion.pool = "mean"
    given = batch([5, 5], [6, 6])
    flipped = given.replace(frames=given.frames.flip(1), input_ids=given.input_ids.flip(1))
    torch.testing.assert_close(embed(built, flipped), embed(built, given), atol=1e-5, rtol=0)


def test_word_vectors():
    """Row 0 starts at zero and is trained; given vectors are taken over; dropout takes whole channels."""
    given = torch.randn(VOCABULARY, 12)
    text = WordVectors(VOCABULARY, 12, dropout=0.5, word_vectors=given)
    assert torch.equal(text.word_table, given) and float(WordVectors(9, 4).word_table[0].detach().abs().sum()) == 0
    hidden = text.train()(batch([5, 2], [1, 1])).hidden
    dropped = hidden == 0
    assert bool((dropped == dropped[:, :1]).all()) and bool(dropped.any()) and not bool(dropped.all())
    hidden.sum().backward()
    assert float(text.word_table.grad[0].abs().sum()) > 0


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: CrossModal(12, 32, "tiny-1x32"), "text is 12 and frames are 32"),
        (lambda: CrossModal(12, 32, "tiny-1x32", recurrent="gru"), "make them equal"),
        (lambda: WordVectors(9, 4, word_vectors=torch.zeros(8, 4)), "make them for this vocabulary"),
        (lambda: small("erc", faithful=True)(batch([5, 2], [4, 7])), "same length"),
        (lambda: small("erc")(batch([5, 40], [4, 7])), "made for 20"),
        (lambda: small("lstm", faithful=True)(batch([5, 2], [4, 7])), "same length"),
    ],
)
def test_errors(build, message):
    with pytest.raises(ValueError, match=message):
        build()
