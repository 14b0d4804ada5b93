"""Numbers of parameters of WeChat rank 72, on the meta device: no memory, no weights, no network."""

import pytest
import torch

from lib.models import BertText, Classifier, CrossModalEncoder, FirstPooled, FrameLinear, Identity
from lib.models.video_model import VideoModel
from lib.objectives import MaskedTokens, VideoTextMatching
from tests.golden_models import SPECIAL

BASE = "hfl/chinese-roberta-wwm-ext"
SWIN = 27_519_354  # the frame encoder, whose features are stored
DEAD = 7_087_872  # the frames' block of the last cross layer (R11)


def _count(*modules) -> int:
    return sum(parameter.numel() for module in modules for parameter in module.parameters())


def _model(head, **options) -> VideoModel:
    with torch.device("meta"):
        text, frames = BertText(BASE, vocab_size=21128, pooler=False), FrameLinear(768, 768)
        return VideoModel(text, frames, CrossModalEncoder(768, 768, BASE, **options), FirstPooled(768), head)


def test_wechat_system_1_invariant_5():
    """213,229,634 in finetuning and 213,689,859 in pretraining with Swin-T; 16,539,648 in a cross layer."""
    with torch.device("meta"):
        head = Classifier(768, 200, dropout=0.2)
        terms = MaskedTokens(768, 21128, SPECIAL, tied=True), VideoTextMatching(768)
    model = _model(head, last_frames=True)
    assert _count(model) + SWIN == 213_229_634
    assert _count(_model(Identity(768), last_frames=True), *terms) + SWIN == 213_689_859
    assert {_count(layer) for layer in model.fusion.layers} == {16_539_648}
    assert _count(_model(head)) + SWIN == 213_229_634 - DEAD, "mended: no block that nothing reads"


def test_wrong_settings_are_refused():
    with pytest.raises(ValueError, match="FrameLinear"):
        CrossModalEncoder(64, 32, "tiny-2x64")
    with pytest.raises(ValueError, match="depth"):
        CrossModalEncoder(64, 64, "tiny-2x64", depth=0)
