"""The official WeChat baseline and its parts against recordings of the original code (golden/wechat), tolerance
1e-5."""

import pytest
import torch

from lib.models.frame_encoders import NextVlad
from lib.models.gating import ConcatSE, SqueezeExcite
from lib.models.video_model import States
from lib.objectives import CategoryCE
from lib.objectives.mix import ObjectiveMix
from tests.golden_models import CONCAT_SE, NEXTVLAD, SQUEEZE_EXCITE, wechat_baseline, wechat_batch, worst
from tests.golden_rule import check_step, load_case, load_renamed, without_dropout


def _check_square_step(case, module, renamed, *inputs):
    """One recorded train step of a block: loss = mean of the squared output."""
    loss = without_dropout(module)(*inputs).square().mean()
    loss.backward()
    check_step(case, module, loss, renamed=renamed)


def test_nextvlad_and_quirk_b1():
    case = load_case("wechat/nextvlad")
    settings = case.settings
    vlad = NextVlad(
        settings["feature_size"], settings["output_size"], clusters=settings["cluster_size"], respect_mask=False
    )
    renamed = load_renamed(vlad, case.weights, NEXTVLAD)
    mask, frames, garbage = case["in/frame_mask"].bool(), case["in/frames"], case["in/frames_garbage"]
    vlad.eval()
    assert worst(vlad(frames, mask), case["out/y"]) < 1e-5
    assert worst(vlad(garbage, mask), case["out/y_garbage"]) < 1e-5
    vlad.respect_mask = True
    assert worst(vlad(frames, mask), vlad(garbage, mask)) < 1e-6 and worst(vlad(frames, mask), case["out/y"]) > 0.05
    vlad.respect_mask = False
    _check_square_step(case, vlad, renamed, frames, mask)


def test_squeeze_excite():
    case = load_case("wechat/senet")
    gate = SqueezeExcite(24, ratio=8)
    renamed = load_renamed(gate, case.weights, SQUEEZE_EXCITE)
    assert worst(gate(case["in/x"]), case["out/y"]) < 1e-5
    _check_square_step(case, gate, renamed, case["in/x"])


def test_concat_se():
    case = load_case("wechat/concat_dense_se")
    fusion = ConcatSE(text_dim=24, frames_dim=16, output_dim=24, se_ratio=8)
    renamed = load_renamed(fusion, case.weights, CONCAT_SE)
    mask = torch.ones(3, 1, dtype=torch.bool)
    text, frames = (States(x.unsqueeze(1), mask, x) for x in (case["in/text"], case["in/vision"]))
    assert worst(fusion.eval()(text, frames).pooled, case["out/y"]) < 1e-5
    loss = without_dropout(fusion)(text, frames).pooled.square().mean()
    loss.backward()
    check_step(case, fusion, loss, renamed=renamed)


@pytest.fixture(scope="module")
def baseline():
    case = load_case("wechat/multimodal")
    return case, wechat_baseline(case)


def test_baseline_outputs(baseline):
    case, model = baseline
    batch = wechat_batch(case)
    with torch.no_grad():
        outputs = model(batch)
        text, frames = model.text(batch), model.frames(batch)
        vlad = model.frames.vlad(batch.frames, batch.frame_mask)
        loss = CategoryCE()(outputs, batch)
    assert worst(text.hidden[:, :2, :16], case["probe/bert"]) < 1e-5
    assert worst(vlad[:, :32], case["probe/nextvlad"]) < 1e-5
    assert worst(frames.pooled[:, :32], case["probe/enhance"]) < 1e-5
    assert worst(outputs.pooled, case["out/final_embedding"]) < 1e-5
    assert worst(outputs.logits, case["out/logits"]) < 1e-5
    assert outputs.logits.argmax(dim=1).tolist() == case["out/predicted"].tolist()
    assert float(loss) == pytest.approx(float(case["out/loss"]), rel=1e-5)


def test_baseline_step(baseline):
    case, model = baseline
    without_dropout(model)
    total, _ = ObjectiveMix({"category": (CategoryCE(), 1.0)})(model, wechat_batch(case))
    total.backward()
    check_step(case, model, total)
    without = [name for name, parameter in model.named_parameters() if parameter.grad is None]
    assert without == case.json("train")["parameters_without_gradient"] == []
    model.eval()


def test_every_original_parameter_has_a_place(baseline):
    case, model = baseline
    assert sum(parameter.numel() for parameter in model.parameters()) == case.json("parameter_count")
