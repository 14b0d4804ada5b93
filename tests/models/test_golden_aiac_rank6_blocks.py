"""Blocks of AIAC rank 6 against recordings of the original classes (golden/r6/block_*, focal_loss, blender)."""

import numpy as np
import pytest
import torch

from lib.evaluation.blend import BlendMaps, blend_features
from lib.models import CrossModal, bert
from lib.models.bert import resolve_backbone
from lib.models.frame_encoders import NextVlad
from lib.models.matching import ConvBranches, PositionAttention, cross_align, match_features
from lib.models.sequences import InceptionBlock
from lib.models.video_model import States
from lib.objectives.tags import focal_with_logits
from tests.golden_models import NEXTVLAD, backbone, worst
from tests.golden_models_aiac_rank6 import BLENDER, CONV_BRANCHES, INCEPTION, POSITION_ATTENTION
from tests.golden_rule import gradient_norms, load_case, load_renamed


def filled(case, module, names):
    load_renamed(module, case.weights, names)
    return module.eval()


@pytest.mark.parametrize("mask", ["none", "neg_inf", "additive01"])
def test_cross_layer(mask):
    """One layer alone, and as the fusion calls it with its mask."""
    case = load_case("r6/block_cross_layer")
    out = {"none": "", "neg_inf": "_masked", "additive01": "_additive01"}[mask]
    layer = backbone(**case.settings, num_hidden_layers=1)
    fusion = filled(case, CrossModal(32, 32, layer, mask=mask), {"": "layers.0."})
    text = States(case["in/lang"], case["in/lang_mask"].bool())
    frames = States(case["in/visn"], case["in/visn_mask"].bool())
    with torch.no_grad():
        biases = [fusion._bias(side, None if mask == "none" else side.mask, torch.float32) for side in (text, frames)]
        lang, visn = fusion.layers[0](text.hidden, biases[0], frames.hidden, biases[1])
        pooled = fusion(text, frames).pooled
    assert worst(lang, case[f"out/lang{out}"]) < 1e-5 and worst(visn, case[f"out/visn{out}"]) < 1e-5
    assert worst(pooled, match_features(case[f"out/lang{out}"][:, 0], case[f"out/visn{out}"][:, 0])) < 2e-5


def test_bert_layer():
    case = load_case("r6/block_bert_layer")
    config = resolve_backbone(backbone(**case.settings, num_hidden_layers=1)).config
    encoder = filled(case, bert.part("encoder", config), {"": "layer.0."})
    x, mask = case["in/hidden"], case["in/mask"].bool()
    with torch.no_grad():
        assert worst(encoder(x).last_hidden_state, case["out/hidden"]) < 1e-5
        assert worst(encoder(x / 64).last_hidden_state, case["out/hidden_of_small_input"]) < 1e-5
        masked = encoder(x, attention_mask=bert.key_mask(mask)).last_hidden_state
    assert worst(masked, case["out/hidden_masked"]) < 1e-5


def test_inception():
    case = load_case("r6/block_inception")
    block = filled(case, InceptionBlock(32, 24), INCEPTION)
    with torch.no_grad():
        x = case["in/x"].transpose(1, 2)
        assert worst(block(x), case["out/y"]) < 1e-5
        assert worst(block(x, torch.ones(2, 7, dtype=torch.bool)), case["out/y"]) < 1e-5


def test_conv_branches():
    case = load_case("r6/block_cnn")
    block = filled(case, ConvBranches(32, 12, branches=2), CONV_BRANCHES)
    with torch.no_grad():
        y, mask = block(case["in/x"], None)
        assert mask is None and worst(y, case["out/y"]) < 1e-5
        y, mask = block(case["in/x"], torch.ones(2, 7, dtype=torch.bool))
        assert mask.shape == (2, 14) and worst(y, case["out/y"]) < 1e-5


def test_position_attention():
    case = load_case("r6/block_position_attention")
    block = filled(case, PositionAttention(32, 7), POSITION_ATTENTION)
    with torch.no_grad():
        assert worst(block(case["in/x"], None), case["out/y"]) < 1e-6


def test_nextvlad():
    case = load_case("r6/block_nextvlad")
    vlad = filled(case, NextVlad(32, 20, clusters=6, groups=4, respect_mask=False), NEXTVLAD)
    with torch.no_grad():
        assert worst(vlad(case["in/x"], torch.ones(2, 7, dtype=torch.bool)), case["out/y"]) < 1e-6


def test_soft_alignment():
    """With true masks the original's arithmetic is a masked softmax up to 2e-6; its padded rows are multiplied by 0."""
    case = load_case("r6/block_softmax_attention")
    a, b = case["in/premise"], case["in/hypothesis"]
    a_mask, b_mask = case["in/premise_mask"].bool(), case["in/hypothesis_mask"].bool()
    for name, masks in {"ones": (None, None), "masked": (a_mask, b_mask)}.items():
        b_for_a, a_for_b = cross_align(a, b, *masks)
        if name == "masked":
            b_for_a, a_for_b = b_for_a * a_mask.unsqueeze(-1), a_for_b * b_mask.unsqueeze(-1)
        assert worst(b_for_a, case[f"out/premise_{name}"]) < 1e-5
        assert worst(a_for_b, case[f"out/hypothesis_{name}"]) < 1e-5


def test_focal_loss_with_extremes():
    """Logits of up to 20: the logarithm is clamped, the factor (1 - p)^2 is not."""
    case = load_case("r6/focal_loss")
    logits = case["in/logits"].requires_grad_()
    loss = focal_with_logits(logits, case["in/target"], gamma=2.0, alpha=0.99, clamp=1e-4)
    loss.mean().backward()
    assert float(loss.mean().detach()) == pytest.approx(float(case["out/loss_mean"]), rel=1e-5)
    assert float(loss.sum().detach()) == pytest.approx(float(case["out/loss_sum"]), rel=1e-5)
    assert worst(logits.grad, case["out/grad_logits"]) < 1e-6


def test_blender():
    case = load_case("r6/blender")
    blend = BlendMaps(case.settings["models"], case.settings["dense_dim"])
    load_renamed(blend, case.weights, BLENDER)
    features = blend_features(case.array("in/model_embeddings").transpose(1, 0, 2), "reshape")
    assert np.array_equal(features[:, :40], case.array("out/feature"))
    vectors = blend(torch.from_numpy(features))
    assert worst(vectors, case["out/blended"]) < 1e-6
    cosine = (vectors[case["in/pair_side1"]] * vectors[case["in/pair_side2"]]).sum(dim=-1)
    assert worst(cosine, case["out/pair_cosine"]) < 1e-6
    loss = torch.nn.functional.mse_loss(cosine, case["in/pair_label"])
    loss.backward()
    assert float(loss.detach()) == pytest.approx(float(case["train/loss"]), rel=1e-5)
    names = [name + ".weight" for name in ("first", "second", "third")]
    torch.testing.assert_close(gradient_norms(blend, names), case["train/grad_norms"], rtol=1e-4, atol=0)
