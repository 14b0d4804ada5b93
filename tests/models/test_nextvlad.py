"""NeXtVLAD: formula, invariants, mask."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.models import NextVladFrames
from lib.models.frame_encoders import NextVlad
from tests.small import FRAME_DIM, batch


def _vlad(respect_mask: bool = True, **sizes) -> NextVlad:
    torch.manual_seed(0)
    return NextVlad(FRAME_DIM, 10, **({"clusters": 5, "groups": 4} | sizes), respect_mask=respect_mask).eval()


@pytest.mark.parametrize("respect_mask", [True, False])
def test_descriptor_against_loops(respect_mask):
    """Section 2.5's formula, one frame, group and cluster at a time."""
    vlad = _vlad(respect_mask)
    torch.nn.init.normal_(vlad.centres)
    frames, mask = torch.randn(1, 3, FRAME_DIM), torch.tensor([[True, True, False]])
    with torch.no_grad():
        size = 2 * FRAME_DIM // 4
        expected = torch.zeros(size, 5)
        for f in range(3):
            wide = vlad.expand(frames[0, f])
            for g in range(4):
                attention = torch.sigmoid(vlad.attend.weight[g] @ wide + vlad.attend.bias[g])
                attention = attention * (1.0 if mask[0, f] or not respect_mask else 0.0)
                share = torch.softmax(vlad.assign.weight[5 * g : 5 * g + 5] @ wide, dim=0)
                for k in range(5):
                    expected[:, k] += attention * share[k] * (wide[size * g : size * (g + 1)] - vlad.centres[:, k])
        expected = (expected / expected.norm(dim=0, keepdim=True)).flatten()  # index = feature * K + cluster
        torch.testing.assert_close(vlad.describe(frames, mask)[0], expected, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(vlad(frames, mask)[0], vlad.project(expected), atol=1e-5, rtol=1e-4)


def test_wechat_15_system0_2_descriptor_length():
    """System 0-2: 12,288 numbers, each of the 64 cluster slices of norm 1, total norm 8 (AIAC R6-3 says the same)."""
    vlad = NextVlad(768, 1024).eval()
    with torch.no_grad():
        descriptor = vlad.describe(torch.randn(2, 5, 768), torch.ones(2, 5, dtype=torch.bool))
    assert descriptor.shape == (2, 12288)
    torch.testing.assert_close(descriptor.view(2, 192, 64).norm(dim=1), torch.ones(2, 64))
    torch.testing.assert_close(descriptor.norm(dim=1), torch.full((2,), 8.0))


@given(order=st.permutations(range(6)), respect_mask=st.booleans())
@settings(max_examples=20, deadline=None)
def test_wechat_15_system0_3_frame_order(order, respect_mask):
    """System 0-3: invariant to frame permutation (mask permuted along)."""
    vlad = _vlad(respect_mask)
    frames = torch.randn(2, 6, FRAME_DIM, generator=torch.Generator().manual_seed(3))
    mask = torch.arange(6) < torch.tensor([[6], [4]])
    with torch.no_grad():
        turned = vlad(frames[:, list(order)], mask[:, list(order)])
        torch.testing.assert_close(turned, vlad(frames, mask), atol=1e-5, rtol=1e-5)


def test_wechat_15_system0_3_zero_frames():
    """System 0-3: appended zero frames change the output with the mask ignored (B1) and do not with it respected."""
    frames, mask = torch.randn(2, 4, FRAME_DIM), torch.ones(2, 4, dtype=torch.bool)
    longer = torch.cat([frames, torch.zeros(2, 3, FRAME_DIM)], dim=1)
    longer_mask = torch.cat([mask, torch.zeros(2, 3, dtype=torch.bool)], dim=1)
    with torch.no_grad():
        fixed, faithful = _vlad(True), _vlad(False)
        torch.testing.assert_close(fixed(longer, longer_mask), fixed(frames, mask), atol=1e-6, rtol=1e-5)
        assert (faithful(longer, longer_mask) - faithful(frames, mask)).abs().max() > 1e-3


def test_no_valid_frame_is_finite():
    vlad = _vlad()
    frames = torch.randn(1, 3, FRAME_DIM, requires_grad=True)
    result = vlad(frames, torch.zeros(1, 3, dtype=torch.bool))
    result.sum().backward()
    torch.testing.assert_close(result[0], vlad.project.bias)  # the descriptor is 0
    assert frames.grad.isfinite().all()


def test_groups_must_divide_the_expanded_width():
    with pytest.raises(ValueError, match="2 x 12 = 24 cannot be cut into 5 groups"):
        _vlad(groups=5)


def test_centres_start_small():
    """Section 3.2: cluster centres N(0, 0.01²)."""
    assert float(NextVlad(768, 8).centres.std()) == pytest.approx(0.01, rel=0.05)


def test_frames_encoder_ignores_padding():
    torch.manual_seed(0)
    encoder = NextVladFrames(FRAME_DIM, output_dim=16, clusters=4, groups=4, se_ratio=4).eval()
    with torch.no_grad():
        snug, full = encoder(batch([1, 1], [5, 2])), encoder(batch([1, 1], [5, 2], slots=(8, 32)))
    torch.testing.assert_close(snug.pooled, full.pooled, atol=1e-6, rtol=1e-5)
    assert snug.hidden.shape == (2, 1, 16) and snug.mask.all() and encoder.output_dim == 16
    assert math.isfinite(float(snug.pooled.sum()))
