"""Squeeze-and-excitation and the fusion built on it."""

import pytest
import torch

from lib.models import BertText, Classifier, ConcatSE, FirstPooled, NextVladFrames
from lib.models.gating import SqueezeExcite
from lib.models.video_model import States, VideoModel
from tests.small import FRAME_DIM, VOCABULARY, batch


def test_wechat_15_system0_6_zero_gate_halves():
    """System 0-6: with zero weights the gate is sigmoid(0) = 1/2."""
    gate = SqueezeExcite(16, ratio=4)
    for parameter in gate.parameters():
        parameter.data.zero_()
    x = torch.randn(3, 16)
    assert torch.equal(gate(x), x / 2)


def test_errors():
    with pytest.raises(ValueError, match="width 10 is not a multiple of the ratio 4"):
        SqueezeExcite(10, ratio=4)
    fusion, states = ConcatSE(4, 4, output_dim=8), States(torch.zeros(1, 2, 4), torch.ones(1, 2, dtype=torch.bool))
    with pytest.raises(ValueError, match="an encoder made none"):
        fusion(states, states)


def test_baseline_ignores_padding_and_survives_empty_videos():
    torch.manual_seed(0)
    model = VideoModel(
        text=BertText("tiny-1x32", VOCABULARY),
        frames=NextVladFrames(FRAME_DIM, output_dim=16, clusters=4, groups=4, se_ratio=4),
        fusion=ConcatSE(32, 16, output_dim=24, se_ratio=4),
        pooling=FirstPooled(24),
        head=Classifier(24, 7),
    ).eval()
    with torch.no_grad():
        snug = model(batch([7, 2, 0], [6, 1, 3]))
        torch.testing.assert_close(
            model(batch([7, 2, 0], [6, 1, 3], slots=(50, 32))).logits, snug.logits, atol=1e-6, rtol=1e-5
        )
        assert snug.logits.shape == (3, 7) and snug.embedding is None and snug.pooled.shape == (3, 24)
        assert snug.text_index.tolist() == [-1] * 10 and snug.frame_index.tolist() == [-1] * 6
        given = batch([2, 2], [2, 2])
        nothing = given.replace(
            text_mask=torch.zeros_like(given.text_mask), frame_mask=torch.zeros_like(given.frame_mask)
        )
        assert model(nothing).logits.isfinite().all()
