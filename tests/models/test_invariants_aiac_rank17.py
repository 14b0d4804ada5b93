"""Section 10 R17 of the AIAC systems' specification, items 1 to 5 (6: ensembles, 7: text layout), and what was mended."""

import math

import pytest
import torch
import torch.nn.functional as F

from lib.models import (
    BertText,
    CrossTransformer,
    FirstPooled,
    FrameLinear,
    GatedProjection,
    GatedSum,
    Identity,
    Poolings,
    SingleStream,
    VideoTransformer,
)
from lib.models.gating import SideBatchNorm
from lib.models.video_model import Joint, States, VideoModel
from lib.objectives import TagFocal
from lib.objectives.similarity import within_side
from lib.training.optimizers import BertAdam
from lib.training.schedule import WarmupLinear
from tests.small import FRAME_DIM, TAGS, VOCABULARY, batch, outputs

SMALL = {"depth": 2, "heads": 2, "head_dim": 8, "ffn": 24}
LEVELS = (0.0, 0.5, 1.0)


def _gated_sum(**options) -> VideoModel:
    torch.manual_seed(0)
    text = BertText("tiny-1x32", VOCABULARY, pool="first")
    frames = VideoTransformer(FRAME_DIM, **SMALL, **options)
    return VideoModel(text, frames, GatedSum(32, FRAME_DIM, 16), FirstPooled(16), Identity(16)).eval()


def _cross(slots: int = 64) -> VideoModel:
    torch.manual_seed(0)
    text = BertText("tiny-1x32", VOCABULARY, pool="first", norm=True, token_types=False)
    fusion = CrossTransformer(32, 32, num_text_slots=slots, depth=2, heads=4)
    frames = FrameLinear(FRAME_DIM, 32, dropout=0.0)
    return VideoModel(text, frames, fusion, Poolings(32, ["first", "frames"]), GatedProjection(64, 16)).eval()


def test_aiac_10_r17_1_focal_loss():
    """R17-1: all negative at p = 1/2, 10,000 tags: 1.732868 a video; the values of single tags are in ``test_tags``."""
    tags = TagFocal(10000, {"cls": 4}, reduction="sum", scale=0.011, gamma=2.0, alpha=10 / 11)
    for parameter in tags.parameters():
        parameter.data.zero_()
    given = batch([1, 1], [1, 1]).replace(tags=torch.zeros(2, 10000))
    assert float(tags(outputs(torch.zeros(2, 4, 4)), given).detach()) == pytest.approx(2 * 1.732868, rel=1e-5)


def test_aiac_10_r17_2_pseudo_label_loss():
    """R17-2: 0 for equal and for orthonormal vectors, 0.015625 for two at cosine 1/4, at most (B - 1)/(32 B)."""
    assert float(within_side(F.normalize(torch.ones(5, 3), dim=1), LEVELS)) == pytest.approx(0, abs=1e-12)
    assert float(within_side(torch.eye(5), LEVELS)) == 0
    two = torch.tensor([[1.0, 0.0], [0.25, math.sqrt(1 - 0.0625)]])
    assert float(within_side(two, LEVELS)) == pytest.approx(0.015625, rel=1e-6)
    for size in (2, 3, 20):
        unit = F.normalize(torch.rand(size, 6, generator=torch.Generator().manual_seed(size)), dim=1)
        assert float(within_side(unit, LEVELS)) <= (size - 1) / (32 * size)


def test_aiac_10_r17_3_first_updates():
    """R17-3: with warm-up the first update moves nothing; constant: 3.1623, 4.2496, 4.9502 times the rate; each tensor
    is clipped by itself."""
    moved = torch.ones(4, requires_grad=True)
    optimizer, schedule = BertAdam([moved], lr=0.1), WarmupLinear(total_steps=100, warmup=0.05, whole=False)
    moved.grad = torch.ones(4)
    for step in (0, 1):
        optimizer.param_groups[0]["lr"] = 0.1 * schedule.multiplier(step)
        optimizer.step()
        assert torch.equal(moved, torch.ones(4)) == (step == 0)

    x = torch.zeros(1, requires_grad=True)
    optimizer, before, sizes = BertAdam([x], lr=1e-3, weight_decay=0.0), 0.0, []
    for _ in range(100):
        x.grad = torch.full((1,), 0.5)
        optimizer.step()
        now = float(x.detach())
        sizes.append(abs(now - before) / 1e-3)
        before = now
    assert sizes[:3] == pytest.approx([3.1623, 4.2496, 4.9502], abs=1e-3)
    assert [sizes[9], sizes[99]] == pytest.approx([6.53, 3.24], abs=0.01)

    tensors = [torch.zeros(4, requires_grad=True) for _ in range(3)]
    for tensor, norm in zip(tensors, (10.0, 10.0, 0.5), strict=True):
        tensor.grad = torch.full((4,), norm / 2)
    optimizer = BertAdam(tensors, lr=0.1)
    optimizer.step()
    seen = [float(optimizer.state[tensor]["exp_avg"].norm()) / 0.1 for tensor in tensors]
    assert seen == pytest.approx([1, 1, 0.5], rel=1e-5) and float(tensors[0].grad.norm()) == 10


def test_aiac_10_r17_5_neutral_gate():
    """R17-5: zero gate weights and a fresh norm in eval mode: e = (v + t) / 2."""
    fusion = GatedSum(6, 5, output_dim=4).eval()
    for parameter in fusion.gate.linear.parameters():
        parameter.data.zero_()
    text, frames = torch.randn(3, 6), torch.randn(3, 5)
    mask = torch.ones(3, 1, dtype=torch.bool)
    joint = fusion(States(text[:, None], mask, text), States(frames[:, None], mask, frames))
    torch.testing.assert_close(joint.pooled, (fusion.project_frames(frames) + fusion.project_text(text)) / 2)


@pytest.mark.parametrize(
    "model", [_gated_sum(), _gated_sum(positions="none"), _cross()], ids=["sum", "no places", "cross"]
)
def test_c7_2_padding_changes_nothing(model):
    """Neither how far a batch is padded nor what lies in padded frames; videos without text or frames are finite."""
    with torch.no_grad():
        snug = model(batch([7, 2, 0], [6, 1, 3]))
        wide = model(batch([7, 2, 0], [6, 1, 3], slots=(50, 32)))
        given = batch([2, 2], [2, 2])
        masks = {name: torch.zeros_like(getattr(given, name)) for name in ("text_mask", "frame_mask")}
        nothing = model(given.replace(**masks))
    torch.testing.assert_close(wide.embedding, snug.embedding, atol=2e-6, rtol=1e-5)
    assert nothing.embedding.isfinite().all() and snug.embedding.shape == (3, 16)


def test_c7_2_and_c7_3_switches():
    """The quirks: padded frames are looked at; the order of frames means nothing without positions; first slot >= 0."""
    short, wide = batch([1], [3]), batch([1], [3], slots=(4, 9))
    quirk, mended = (_gated_sum(respect_mask=value, positions="none").frames for value in (False, True))
    with torch.no_grad():
        assert not torch.allclose(quirk(short).pooled, quirk(wide).pooled, atol=1e-3)
        torch.testing.assert_close(mended(short).pooled, mended(wide).pooled, atol=1e-6, rtol=1e-5)
        turned = short.replace(frames=short.frames.flip(1))
        torch.testing.assert_close(mended(short).pooled, mended(turned).pooled, atol=1e-6, rtol=1e-5)
        placed = _gated_sum().frames
        placed.position_embeddings.weight.data *= 50
        assert not torch.allclose(placed(short).pooled, placed(turned).pooled, atol=1e-3)
    first = VideoTransformer(400, **SMALL, init="uniform").first
    assert first.min() >= 0 and first.max() < 1 and first.mean() > 0.4
    assert float(VideoTransformer(4000, **SMALL).first.detach().std()) == pytest.approx(0.02, rel=0.1)


def test_c7_11_each_side_has_its_own_statistics():
    """As two forward passes, one a side; odd and tiny batches are taken whole."""
    x = torch.randn(8, 5) + torch.arange(8)[:, None]
    ours, plain = SideBatchNorm(5), torch.nn.BatchNorm1d(5)
    assert torch.equal(ours(x), torch.cat([plain(x[:4]), plain(x[4:])]))
    assert torch.equal(ours.running_mean, plain.running_mean) and int(ours.num_batches_tracked) == 2
    for rows in (2, 3, 7):
        torch.testing.assert_close(ours(x[:rows]), torch.nn.BatchNorm1d(5)(x[:rows]))
    ours.eval()
    torch.testing.assert_close(ours(x)[:1], ours(x[:1]))


def test_encoders_learn_for_themselves():
    """Two tag heads, one an encoder: the loss of one gives no gradient to the other, nor to the fusion."""
    model, given = _gated_sum(), batch([3, 2], [4, 3])
    heads = {x: TagFocal(TAGS, {"text": 32, "frames": FRAME_DIM}, input=x) for x in ("text", "frames")}
    for name, other in (("text", "frames"), ("frames", "text")):
        model.zero_grad()
        heads[name](model(given), given).backward()
        reached = {own.split(".")[0] for own, p in model.named_parameters() if p.grad is not None and p.grad.any()}
        assert reached == {name} and other not in reached


def test_first_and_frames_against_loops():
    hidden = torch.randn(2, 5, 3)
    mask = torch.tensor([[True, True, True, True, False], [True, False, False, False, False]])
    joint = Joint(hidden, mask, text_index=torch.tensor([0, 1]), frame_index=torch.tensor([2, 3, 4]))
    pooled = Poolings(3, ["first", "frames"])(joint)
    torch.testing.assert_close(pooled[0], torch.cat([hidden[0, 0], (hidden[0, 2] + hidden[0, 3]) / 2]))
    torch.testing.assert_close(pooled[1], torch.cat([hidden[1, 0], torch.zeros(3)]))


def test_errors():
    given = batch([1], [5])
    with pytest.raises(ValueError, match="5 frames, but positions = 4"):
        VideoTransformer(FRAME_DIM, num_frame_slots=4, **SMALL)(given)
    with pytest.raises(ValueError, match="text is 32 and frames are 12 wide"):
        CrossTransformer(32, 12, num_text_slots=8)
    with pytest.raises(ValueError, match="do not fit into num_text_slots = 3"):
        _cross(slots=3)(given)
    with pytest.raises(ValueError, match="an encoder made none"):
        GatedSum(4, 4)(*[States(torch.zeros(1, 2, 4), torch.ones(1, 2, dtype=torch.bool))] * 2)
    with pytest.raises(ValueError, match="the model's text vector"):
        TagFocal(TAGS, {"text": 4}, input="text")(outputs(torch.zeros(1, 4, 4)), given)
    with pytest.raises(ValueError, match="kept no text position"):
        Poolings(4, ["first", "frames"])(Joint(torch.zeros(1, 1, 4), torch.ones(1, 1, dtype=torch.bool)))


def test_first_and_frames_serves_single_streams_too():
    fusion = SingleStream("tiny-1x32", 32, 32)
    hidden = torch.randn(2, 3, 32), torch.randn(2, 4, 32)
    states = [States(x, torch.ones(x.shape[:2], dtype=torch.bool)) for x in hidden]
    assert Poolings(32, ["first", "frames"])(fusion(*states)).shape == (2, 64)
