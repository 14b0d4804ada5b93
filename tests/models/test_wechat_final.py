"""Parts of the WeChat 2022 final: published numbers of parameters, on the meta device, and the invariants of its systems."""

import pytest
import torch

from lib.models import (
    Aggregates,
    BertText,
    Classifier,
    CrossModalEncoder,
    CrossStacks,
    CrossTransformer,
    Embeddings,
    FrameLinear,
    FrameProjection,
    ImageFrames,
    MeanOfMeans,
    PatchFrames,
    Poolings,
    SharedFusions,
    SideBySide,
    SingleStream,
    SplitStream,
    TransformerFrames,
    VideoLayers,
    aggregates,
)
from lib.models.aggregates import ALL, Bottleneck, Vlad, frame_similarity
from lib.models.video_model import Joint, States, VideoModel
from lib.objectives import CategoryCE
from lib.objectives.mix import ObjectiveMix
from tests.golden_models import worst
from tests.small import VOCABULARY, batch

NAME = "random-12x768"


def count(*modules) -> int:
    return sum(parameter.numel() for module in modules for parameter in module.parameters())


def test_published_parameters():
    """Section 5 of the specification's second part; what ours has more is named."""
    with torch.device("meta"):
        embeddings, whole = Embeddings(NAME, 21128), BertText(NAME, 21128, pooler=False)
        layers, frames = SingleStream(NAME, 768, 768), FrameProjection(768, 768)
        head, both, linear = Classifier(768, 200), Classifier(1536, 200), FrameLinear(768, 768)
        half = BertText(NAME, 21128, pooler=False, layers=0.5)
        single = count(embeddings, frames, layers)
        assert single + count(head) == 102_817_736  # ranks 1, 2, 5; words have 33,586 entries
        assert count(Embeddings(NAME, 33586), frames, layers, head) == 112_385_480
        score = 1  # the attention pooling's last bias, which moves nothing
        assert single + count(Poolings(768), Classifier(3072, 200)) - score == 103_869_896  # rank 6
        plain, own = CrossTransformer(768, 768, 256, 6, 12, positions=0), CrossTransformer(768, 768, 256, 6, 12)
        tables = 393_216 + 1_536 + 1_536  # positions and types, and the layer norm behind them
        assert count(whole, linear, plain, head) == 144_948_680
        assert count(whole, linear, own, head) == 144_948_680 + tables  # rank 1, joint
        cross = CrossModalEncoder(768, 768, NAME, depth=3, last_frames=True, pooler=False)
        assert count(whole, linear, cross, both) == 152_193_992
        assert count(whole, TransformerFrames(768, "random-6x768"), cross, both) == 194_721_224
        wide = FrameLinear(1024, 768)
        alpro = count(half, wide, SplitStream(768, 768, NAME))
        assert alpro + count(head) == 102_618_056 and alpro + count(Classifier(768, 200, widen=2)) == 103_952_840
        assert count(embeddings, FrameProjection(1024, 768), layers, head) == 103_014_344
        shared = SharedFusions(768, 1024, NAME)
        assert shared.pooled_dim == 3840 and count(CrossStacks(768, 1024, NAME, project=False), both) == 116_088_008
        assert count(whole, shared, SideBySide(3840, 200)) == 377_321_304
        placed = FrameLinear(768, 768, positions=32)
        albef = SplitStream(768, 768, NAME, cross=True)
        assert count(half, placed, albef, head) == 116_629_448
        assert count(half, placed, albef, Classifier(768, 69)) == 116_528_709
        assert count(SplitStream(768, 768, NAME, cross=True, frame_layers=2)) - count(albef) == 18_903_552
        assert count(albef) - 6 * 7_087_872 == 14_183_424
        video, joint = VideoLayers(768, 768, 32), CrossTransformer(768, 768, 256, 2, 12)
        pooling = Aggregates(768, 768, 768, 16)
        sizes = {name: count(part) for name, part in pooling.parts.items()}
        dual = Classifier(pooling.output_dim, 200, norm=True, dropout=0.3)
    assert count(whole, video, joint) == 159_393_024 and count(dual) == 1_249_772 and pooling.output_dim == 6186
    assert sizes == {
        "nextvlad": 14_576_136, "netvlad": 12_895_296, "netrvlad": 12_870_720, "softdbow": 304_192,
        "netfv": 25_502_784, "bottleneck": 14_178_816,
    }  # fmt: skip
    assert count(whole, video, joint, pooling, dual) == 240_970_740


def test_large_teacher():
    with torch.device("meta"):
        name = "random-24x1024"
        parts = (
            Embeddings(name, 21128),
            FrameProjection(768, 1024),
            SingleStream(name, 1024, 1024),
            Classifier(1024, 200),
        )
    assert count(*parts) == 325_993_672


def sides(tokens=(5, 3), frames=(4, 2), width=32, seed=0):
    """States of both sides with garbage where padded."""
    generator = torch.Generator().manual_seed(seed)
    found = []
    for lengths in (tokens, frames):
        mask = torch.arange(max(lengths)) < torch.tensor(lengths).unsqueeze(1)
        found.append(States(torch.randn(len(lengths), max(lengths), width, generator=generator), mask))
    return found


def with_garbage(states):
    extra = torch.full((len(states.hidden), 2, states.hidden.shape[2]), 9.0)
    pad = torch.zeros(len(states.hidden), 2, dtype=torch.bool)
    return States(torch.cat([states.hidden, extra], dim=1), torch.cat([states.mask, pad], dim=1))


FUSIONS = {
    "alpro": lambda: SplitStream(32, 32, "tiny-4x32"),
    "albef": lambda: SplitStream(32, 32, "tiny-4x32", cross=True, frame_layers=1),
    "stacks": lambda: CrossStacks(32, 32, "tiny-4x32", depth=2),
    "shared": lambda: SharedFusions(32, 32, "tiny-4x32", depth=1, parts=["joint", "frames"]),
    "plain": lambda: CrossTransformer(32, 32, 8, 1, 1, positions=0),
}


@pytest.mark.parametrize("name", FUSIONS)
@torch.no_grad()
def test_padding_changes_nothing_and_states_stand_where_the_index_says(name):
    torch.manual_seed(0)
    fusion, (text, frames) = FUSIONS[name]().eval(), sides()
    snug, wide = fusion(text, frames), fusion(with_garbage(text), with_garbage(frames))
    for index, count in ((0, 5), (1, 4)):
        places = [joint.text_index if index == 0 else joint.frame_index for joint in (snug, wide)]
        real = snug.mask[:, places[0]]
        ours, padded = (joint.hidden[:, place[:count]] for joint, place in zip((snug, wide), places, strict=True))
        torch.testing.assert_close(ours[real], padded[real], atol=1e-5, rtol=1e-5)
    if snug.pooled is not None:
        torch.testing.assert_close(snug.pooled, wide.pooled, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_split_stream_without_frames_is_bert():
    """System 4-1: with all frames masked the text positions have exactly the whole BERT's states; at any split."""
    given = batch([4, 2], [3, 3])
    for split in (0.0, 0.25, 0.5, 1.0):
        torch.manual_seed(0)
        lower, whole = BertText("tiny-4x32", VOCABULARY, layers=split).eval(), BertText("tiny-4x32", VOCABULARY).eval()
        upper = SplitStream(32, 32, "tiny-4x32", split=split).eval()
        lower.embeddings.load_state_dict(whole.embeddings.state_dict())
        own = [*lower.encoder.layer, *upper.layer]
        for mine, layer in zip(own, whole.encoder.layer, strict=True):
            mine.load_state_dict(layer.state_dict())
        nothing = States(torch.randn(2, 3, 32), torch.zeros(2, 3, dtype=torch.bool))
        joint = upper(lower(given), nothing)
        expected = whole(given).hidden
        real = given.text_mask
        torch.testing.assert_close(joint.hidden[:, joint.text_index][real], expected[real], atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_one_frame_says_the_same_at_every_text_position():
    """System 5-2: with one valid key the cross-attention's output before its residual is the same everywhere."""
    text, frames = sides(frames=(1, 1))
    layer = SplitStream(32, 32, "tiny-2x32", cross=True).eval().layer[0]
    seen = layer.crossattention.self(text.hidden, frames.hidden, None)[0]
    assert (seen - seen[:, :1]).abs().max() < 1e-6


@torch.no_grad()
def test_patches_over_frames_lose_the_order():
    """System 4-2: with F = 1 the grid is the frame's own patches; A5 does not see the order of frames, A4 with places does."""
    patches = torch.randn(2, 3, 5, 24)
    states = States(torch.zeros(2, 3, 24), torch.tensor([[1, 1, 1], [1, 1, 0]]).bool(), source=patches)
    stacks = CrossStacks(32, 24, "tiny-1x32", depth=1, over="patches").eval()
    grid, mask = stacks.pictures(states)
    torch.testing.assert_close(grid[1], patches[1, :2].mean(dim=0))
    assert mask.all() and grid.shape == (2, 5, 24)
    turned = States(states.hidden, states.mask, source=patches[:, [1, 0, 2]])
    torch.testing.assert_close(stacks.pictures(turned)[0], grid)
    one = States(states.hidden[:, :1], states.mask[:, :1], source=patches[:, :1])
    assert torch.equal(stacks.pictures(one)[0], patches[:, 0])
    with pytest.raises(ValueError, match="needs patches"):
        stacks.pictures(States(patches[:, :, 0], states.mask))
    each, (text, _), given = CrossStacks(32, 24, "tiny-1x32", depth=1).eval(), sides(), batch([4, 2], [3, 3])
    for places in (0, 3):
        frames = FrameLinear(12, 24, dropout=0.0, positions=places)
        if places:
            frames.places.weight.mul_(20)
        ways = (frames(given.replace(frames=given.frames[:, order])) for order in ([0, 1, 2], [2, 0, 1]))
        one, two = (Poolings(32, ["text", "frames"])(each(text, way)) for way in ways)
        assert (worst(one, two) > 1e-3) == bool(places)


def images(**options):
    given = {"encoder": "random-test_vit", "size": 32, "mean": (0.5,) * 3, "std": (0.5,) * 3, "output": "pooled"}
    return ImageFrames(given, **options).eval()


@torch.no_grad()
def test_image_encoder_gives_patches():
    given = batch([1, 1], [2, 1])
    pictures = torch.randint(0, 256, (2, 2, 3, 32, 32), dtype=torch.uint8)
    given = given.replace(pictures=pictures)
    encoder = images(tokens="patches")
    patches = encoder(given)
    assert patches.shape == (2, 2, 5, encoder.output_dim) and (patches[1, 1] == 0).all()
    pooled = images()(given)
    torch.testing.assert_close(encoder.encoder.forward_head(patches[0], pre_logits=True), pooled[0])
    given = given.replace(frames=patches)
    mean, first, query = (PatchFrames(encoder.output_dim, way)(given) for way in ("mean", "first", "attention"))
    torch.testing.assert_close(mean.hidden, patches[:, :, 1:].mean(dim=2))
    assert torch.equal(first.hidden, patches[:, :, 0]) and query.hidden.shape == mean.hidden.shape
    with pytest.raises(ValueError, match="tokens: patches"):
        PatchFrames(12)(batch([1], [1]))


def three_fusions():
    torch.manual_seed(0)
    fusion = SharedFusions(32, 16, "tiny-2x32", depth=1)
    frames = PatchFrames(16)
    text = BertText("tiny-2x32", VOCABULARY, pooler=False)
    model = VideoModel(text, frames, fusion, _Vector(160), SideBySide(160, 7))
    given = batch([4, 2, 1], [3, 2, 1])
    return model, given.replace(frames=torch.randn(3, 3, 5, 16))


class _Vector(torch.nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.output_dim = dim

    def forward(self, joint):
        return joint.pooled


def test_three_fusions_of_one_encoding():
    """System 4-3 and 4-4: one pass of the encoders, each part's logits as if alone, probabilities averaged, losses too."""
    model, given = three_fusions()
    calls = []
    model.text.register_forward_hook(lambda *_: calls.append(1))
    out = model.eval()(given)
    assert len(calls) == 1 and out.each.shape == (3, 3, 7)
    torch.testing.assert_close(out.logits.exp(), out.each.softmax(dim=-1).mean(dim=1))
    torch.testing.assert_close(out.logits.exp().sum(dim=-1), torch.ones(3))
    text, frames = model.text(given), model.frames(given)
    for number, (part, first) in enumerate(zip(("joint", "frames", "patches"), (0, 32, 96), strict=True)):
        alone = model.fusion.parts[part]
        if part == "joint":
            joint = alone(text, States(model.fusion.project(frames.hidden), frames.mask))
            vector = torch.stack([joint.hidden[row][joint.mask[row]].mean(dim=0) for row in range(3)])
        else:
            vector = Poolings(32, ["text", "frames"])(alone(text, frames, model.fusion.project))
        assert torch.allclose(out.pooled[:, first : first + vector.shape[1]], vector, atol=1e-6)
        torch.testing.assert_close(out.each[:, number], model.head.classify[number](vector), atol=1e-5, rtol=1e-5)
    total, _ = ObjectiveMix({"category": (CategoryCE(), 1.0)}).train()(model, given)
    losses = [torch.nn.functional.cross_entropy(out.each[:, part], given.category) for part in range(3)]
    torch.testing.assert_close(total, sum(losses) / 3)
    with pytest.raises(ValueError, match="cannot be cut"):
        SideBySide(161, 7)


def test_means_of_both_sides():
    """System 6-1: scaling every video state moves the mean of means by half of it, whatever the lengths; by hand."""
    text, frames = sides(width=4)
    hidden = torch.cat([frames.hidden[:, :1], text.hidden, frames.hidden[:, 1:]], dim=1)
    mask = torch.cat([frames.mask[:, :1], text.mask, frames.mask[:, 1:]], dim=1)
    joint = Joint(hidden, mask, text_index=torch.arange(1, 6), frame_index=torch.tensor([0, 6, 7, 8]))
    both, mean = Poolings(4, ["text", "frames"])(joint), MeanOfMeans(4)
    expected = torch.stack([torch.cat([s.hidden[1][s.mask[1]].mean(0) for s in (text, frames)])])
    torch.testing.assert_close(both[1:], expected)
    torch.testing.assert_close(mean(joint), (both[:, :4] + both[:, 4:]) / 2)
    joint.hidden = hidden.clone()
    joint.hidden[:, joint.frame_index] *= 3
    torch.testing.assert_close(mean(joint), (both[:, :4] + 3 * both[:, 4:]) / 2)
    joint.hidden, joint.mask = hidden, mask.clone()
    joint.mask[:, joint.frame_index] = False
    torch.testing.assert_close(mean(joint), both[:, :4])
    with pytest.raises(ValueError, match="Poolings: the fusion kept no positions"):
        Poolings(4, ["text", "frames"])(Joint(hidden, mask))


def test_poolings_side_by_side():
    text, frames = sides(width=8)
    joint = Joint(
        torch.cat([text.hidden, frames.hidden], dim=1), torch.cat([text.mask, frames.mask], dim=1),
        text_index=torch.arange(5), frame_index=torch.arange(5, 9),
    )  # fmt: skip
    pooled = Poolings(8, of=("first", "mean", "max", "text", "frames"))(joint)
    real = joint.hidden[1][joint.mask[1]]
    own = [text.hidden[1, 0], real.mean(0), real.amax(0), text.hidden[1, :3].mean(0), frames.hidden[1, :2].mean(0)]
    torch.testing.assert_close(pooled[1], torch.cat(own))
    with pytest.raises(ValueError, match="keeps no earlier states"):
        Poolings(8, of=("earlier",))(joint)


def test_frame_similarity():
    """System 7-2: identical frames are alike, reversed frames reverse it, and short videos have zeros."""
    frames = torch.randn(1, 5, 6)
    mask = torch.ones(1, 5, dtype=torch.bool)
    given = frame_similarity(frames, mask, 2, 5)
    by_hand = [float(frames[0, f] @ frames[0, f + 2] / frames[0, f].norm() / frames[0, f + 2].norm()) for f in range(3)]
    torch.testing.assert_close(given[0], torch.tensor(by_hand))
    torch.testing.assert_close(frame_similarity(frames.flip(1), mask, 2, 5), given.flip(1))
    torch.testing.assert_close(frame_similarity(frames[:, :1].expand(-1, 5, -1), mask, 1, 5), torch.ones(1, 4))
    mask[:, 3:] = False
    assert frame_similarity(frames, mask, 1, 8)[0, 2:].tolist() == [0.0] * 5
    assert frame_similarity(frames[:, :1], mask[:, :1], 3, 16).tolist() == [[0.0] * 13]


@torch.no_grad()
def test_sides_meet_in_the_bottleneck_alone():
    """Section 15, tricks: frames and text see themselves and the tokens, which see both."""
    torch.manual_seed(0)
    text, frames = sides(tokens=(3, 3), frames=(4, 4))
    for depth, meets in ((1, False), (2, True)):
        part = Bottleneck(32, tokens=2, depth=depth, heads=2, ffn=32).eval()
        one, two = (part.states(frames.hidden, frames.mask, t, text.mask) for t in (text.hidden, text.hidden.flip(2)))
        assert torch.equal(one[:, :4], two[:, :4]) != meets and worst(one[:, 4:6], two[:, 4:6]) > 1e-3
        moved = part.states(frames.hidden.flip(2), frames.mask, text.hidden, text.mask)
        assert torch.equal(one[:, 6:], moved[:, 6:]) != meets and worst(one[:, 4:6], moved[:, 4:6]) > 1e-3


def test_vlad_family(monkeypatch):
    """System 7-3; and padding changes nothing, in training either."""
    torch.manual_seed(0)
    frames, mask = torch.randn(3, 6, 8), torch.tensor([[1] * 6, [1] * 4 + [0] * 2, [1] + [0] * 5]).bool()
    parts = {kind: Vlad(8, 5, kind, clusters=4) for kind in ("netvlad", "netrvlad", "softdbow", "netfv")}
    for kind, part in parts.items():
        garbage = torch.where(mask.unsqueeze(-1), frames, torch.full_like(frames, 7.0))
        for mode in (True, False):
            part.train(mode)
            torch.testing.assert_close(part(frames, mask), part(garbage, mask))
            torch.testing.assert_close(part(frames[1:, :4], mask[1:, :4]), part(frames[1:], mask[1:])) if mode else None
        norm = part.describe(frames, mask).norm(dim=1)
        torch.testing.assert_close(norm, torch.full((3,), 2**0.5 if kind == "netfv" else 1.0))
    described = parts["netvlad"].describe(frames, mask).view(3, 8, 4)
    torch.testing.assert_close(described.norm(dim=1), torch.full((3, 4), 0.5))
    parts["netvlad"].centres.data.zero_()
    parts["netvlad"].assign.data.copy_(parts["netrvlad"].assign.data)
    parts["netvlad"].norm.load_state_dict(parts["netrvlad"].norm.state_dict())
    torch.testing.assert_close(parts["netvlad"].describe(frames, mask), parts["netrvlad"].describe(frames, mask))
    monkeypatch.setattr(aggregates.F, "normalize", lambda x, dim: x)
    torch.testing.assert_close(parts["softdbow"].describe(frames, mask).sum(dim=1), mask.sum(dim=1).float())


def dual(of=ALL, **options):
    torch.manual_seed(0)
    text, frames = BertText("tiny-1x32", VOCABULARY, pooler=False), VideoLayers(12, 32, 6, depth=1)
    pooling = Aggregates(32, 32, 32, 6, of, clusters=4, width=8, nextvlad_width=16, nextvlad_clusters=4, **options)
    return VideoModel(
        text, frames, CrossTransformer(32, 32, 12, 1, 1), pooling, Classifier(pooling.output_dim, 7, norm=True)
    )


def test_ten_aggregates_in_the_surveys_order():
    """System 7-1: their places and widths; padding changes nothing; every part gets a gradient."""
    model, given = dual(), batch([4, 2], [5, 2])
    out = model.eval()(given)
    starts = [64, 96, 112, 120, 128, 136, 144, 176, 181, 185, 188]
    assert out.pooled.shape == (2, starts[-1])
    source = model.frames(given).source
    assert torch.equal(out.pooled[:, 64:96], source[:, 0]) and not torch.equal(source, model.frames(given).hidden)
    for shift, start in ((1, 176), (2, 181), (3, 185)):
        expected = frame_similarity(given.frames, given.frame_mask, shift, 6)
        torch.testing.assert_close(out.pooled[:, start : start + 6 - shift], expected)
    torch.testing.assert_close(model(batch([4, 2], [5, 2], slots=(12, 6))).logits, out.logits, atol=1e-5, rtol=1e-5)
    model.train()(given).logits.square().sum().backward()
    assert [name for name, p in model.pooling.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []
    fewer = dual(of=("netfv", "similarity3"))
    assert fewer.pooling.output_dim == 64 + 8 + 3
    with pytest.raises(ValueError, match="no aggregate 'netfw'"):
        dual(of=("netfw",))


@torch.no_grad()
def test_five_and_thirty_two_frames_go_through_the_same_weights():
    """System 2-4, on the three architectures of rank 1."""
    frames = FrameLinear(12, 32, dropout=0.0)
    for fusion, pooling in (
        (SingleStream("tiny-1x32", 32, 32), Poolings(32)),
        (CrossTransformer(32, 32, 16, 1, 1), Poolings(32)),
        (CrossModalEncoder(32, 32, "tiny-1x32", 1, last_frames=True, pooler=False), Poolings(32, ["text", "frames"])),
    ):
        text = BertText("tiny-1x32", VOCABULARY, pooler=False)
        model = VideoModel(text, frames, fusion, pooling, Classifier(pooling.output_dim, 7)).eval()
        few, many = model(batch([4, 2], [5, 5])), model(batch([4, 2], [32, 32]))
        assert few.logits.isfinite().all() and many.logits.shape == few.logits.shape
        padded = model(batch([4, 2], [5, 5], slots=(12, 32)))
        torch.testing.assert_close(padded.logits, few.logits, atol=1e-5, rtol=1e-5)
