"""WeChat rank 72: invariants of the specification (section 15, System 1) that need no recording."""

import pytest
import torch

from lib.features.frames import pick
from lib.models import CrossModalEncoder
from lib.models.video_model import States


@pytest.mark.parametrize(
    "n, expected",
    [(n, list(range(min(n, 8)))) for n in (5, 8, 9, 16, 24)]
    + [(n, list(range(0, 24, 3))) for n in (25, 31)]
    + [(32, list(range(0, 32, 4)))],
)
def test_wechat_15_system1_2_frame_rule(n, expected):
    assert pick(n, 8, "head_or_step").tolist() == expected


def test_wechat_15_system1_6_both_directions_share_their_weights():
    """Only words see frames in the pooled vector of one layer; its cross-attention changes frames and words alike."""
    torch.manual_seed(0)
    fusion = CrossModalEncoder(32, 32, "tiny-1x32", depth=1, last_frames=True).eval()
    layer = fusion.layers[0]
    t, v = torch.randn(2, 3, 32), torch.randn(2, 4, 32)
    none_t, none_v = torch.zeros(2, 1, 1, 3), torch.zeros(2, 1, 1, 4)
    words, frames = layer.cross_att(t, none_t, v, none_v, output_x_attentions=False)
    swapped_frames, swapped_words = layer.cross_att(v, none_v, t, none_t, output_x_attentions=False)
    assert torch.equal(words[0], swapped_words[0]) and torch.equal(frames[0], swapped_frames[0])
    text, given = States(t, torch.ones(2, 3, dtype=torch.bool)), States(v, torch.ones(2, 4, dtype=torch.bool))
    before = fusion(text, given).hidden
    with torch.no_grad():
        layer.visual_attention.att.value.weight.mul_(2.0)
    after = fusion(text, given).hidden
    assert not torch.equal(before[:, :3], after[:, :3]) and not torch.equal(before[:, 3:], after[:, 3:])
