"""Published numbers of parameters, of the recipes at their published sizes, on the meta device: no memory, weights or
network. What the originals carry without using it is left out here and added back by its size."""

import pytest
import torch

from lib.recipes.job import Job
from lib.stages.build import Sizes, build_mix, build_model, freeze

POOLER = 768 * 768 + 768  # of BERT, where nothing reads it
WORDS = 21128 * 768  # a word table for states that are no words
FRAMES_TO_WORDS = 1536 * 300 + 300  # a linear map that ``lstm`` and ``inception_lxmert`` define and never call
SWIN = 27_519_354  # WeChat rank 72's frame encoder, whose features are stored
VIT_L = 303_179_776  # CLIP ViT-L/14, in the model
DEAD = 7_087_872  # the frames' block of its last cross layer (R11)
# AIAC rank 6, ``erc``: maps side by side double what is pooled, per side 512; four match features, to 256 (B7-10)
WIDER = 4 * 2 * 256 * 256


def count(*modules, trained: bool = False) -> int:
    return sum(p.numel() for module in modules for p in module.parameters() if p.requires_grad or not trained)


def built(recipe: str, stage: str, arm: str = "base"):
    """(model, objectives by name) of a recipe at its published size."""
    job = Job.load(recipe, stage, arm, 0, "full")
    with torch.device("meta"):
        sizes = Sizes.published(job.spec.track)
        model = build_model(job, sizes)
        mix = build_mix(job, model, sizes, [1] * sizes.num_classes)
    freeze(job, model)
    return model, mix.terms


def test_aiac_10_r1_7_parameters():
    """R1-7 and A2.4, term by term: 384,056,472 with the dead word table of the frames (A7-14), which we leave out."""
    model, terms = built("aiac_rank1", "pretrain")
    assert count(model.text) == 22_163_456 and count(model.pooling) == 0
    assert count(model.frames) + 21_635_072 == 22_163_456 + 1_573_888
    assert count(model.fusion) == 302_309_376 and count(model.head) == 262_400
    assert [count(terms[name]) for name in ("tokens", "frames", "tags")] == [22_707_848, 2_626_048, 10_250_000]
    assert count(model, terms) + 21_635_072 == 384_056_472


def test_wechat_15_system0_1_parameters():
    """System 0-1: 118,192,080 in the preliminary form, NeXtVLAD alone 14,576,136."""
    model, _ = built("wechat_baseline", "finetune")
    assert count(model) == 118_192_080 and count(model.frames.vlad) == 14_576_136


def test_aiac_10_r17_4_first_model():
    """C2.1, C2.2 and R17-4: 109,957,648 and 185,314,576 with tag heads, 854,016 trained in finetuning."""
    model, terms = built("aiac_rank17", "pretrain")
    places = 32 * 1536  # frames know their place here (C7-3)
    assert count(model.text, terms["tags_text"]) + POOLER == 109_957_648
    assert count(model.frames) == 169_944_576 + places
    assert count(model.frames, terms["tags_frames"]) == 185_314_576 + places
    assert {count(layer) for layer in model.frames.layers} == {28_323_840}
    model, _ = built("aiac_rank17", "finetune")
    assert count(model, trained=True) == count(model.fusion) == 854_016


def test_aiac_10_r17_4_second_model():
    """C2.3, C2.4 and R17-4: 178,560,016 with tag head; 2,757,376 for gate and projection, 59,740,416 for the layers."""
    model, terms = built("aiac_rank17", "pretrain", "cross")
    assert count(model.head) == 2_757_376 and count(model.fusion) + WORDS + POOLER == 59_740_416
    assert count(model.text, model.frames, model.fusion, terms) + WORDS + 2 * POOLER == 178_560_016
    model, _ = built("aiac_rank17", "finetune", "cross")
    assert count(model, trained=True) + WORDS + POOLER == 2_757_376 + 59_740_416


@pytest.mark.parametrize(
    ("arm", "published", "unused"),
    [
        ("erc", 20_681_596, -WIDER),
        ("esim", 61_195_836, 0),
        ("lstm", 13_181_244, FRAMES_TO_WORDS),
        ("lstm_nextvlad", 23_164_440, 0),
        ("base", 55_017_276, 0),  # gru_lxmert
        ("inception_lxmert", 55_738_428, FRAMES_TO_WORDS),
        ("light_lxmert", 68_562_960, 0),
        ("lxmert", 156_425_232, POOLER),
    ],
)
def test_aiac_10_r6_2_parameters(arm, published, unused):
    """R6-2; word vectors are not counted, the tag head is. BERT has 102,267,648, NeXtVLAD 18,927,112 of them."""
    model, terms = built("aiac_rank6", "pretrain", arm)
    words = 0 if arm == "lxmert" else model.text.words.table.weight.numel()
    assert count(terms) == 256 * 10000 + 10000
    assert count(model, terms) - words + unused == published
    if arm == "lxmert":
        assert count(model.text) + POOLER == 102_267_648
        assert [count(layer) for layer in model.fusion.layers] == [16_539_648] * 3
    if arm == "lstm_nextvlad":
        assert count(model.frames.vlad) == 18_927_112


def test_wechat_system_1_invariant_5():
    """213,229,634 in finetuning and 213,689,859 in pretraining with Swin-T; 16,539,648 in a cross layer."""
    model, _ = built("wechat_rank72", "finetune")
    assert count(model) + SWIN == 213_229_634 - DEAD, "mended: no block that nothing reads"
    assert {count(layer) for layer in model.fusion.layers[:-1]} == {16_539_648}
    model, terms = built("wechat_rank72", "pretrain")
    assert count(model, terms) - count(model.head) + SWIN + DEAD == 213_689_859


@pytest.mark.parametrize(
    ("recipe", "arm", "published", "more"),
    [
        ("wechat_rank1", "base", 102_817_736, 0),
        ("wechat_rank1", "joint", 145_344_968, 0),
        ("wechat_rank1", "cross", 152_193_992, 0),
        ("wechat_rank2", "base", 102_817_736, 0),
        ("wechat_rank3", "base", 377_321_304, VIT_L),
        ("wechat_rank3", "alpro", 102_618_056, VIT_L),
        ("wechat_rank3", "single", 103_014_344, VIT_L),
        ("wechat_rank3b", "base", 116_629_448, 18_903_552),  # with the layers that guess masked frames
        ("wechat_rank5", "base", 102_817_736, 0),
        ("wechat_rank6", "base", 103_869_896, 1),  # the last bias of the attention
        ("wechat_rank6", "dual", 240_970_740, -16 * 768),  # places of 16 frames, not 32
        ("wechat_consensus", "base", 102_817_736, 0),
        ("wechat_consensus", "cross", 152_193_992, 0),
    ],
)
def test_wechat_final_parameters(recipe, arm, published, more):
    model, _ = built(recipe, "finetune", arm)
    assert count(model) == published + more


def test_wechat_final_heads_of_pretraining():
    """The bank of rank 2 holds a whole copy; the decoder of rank 6 is tied to the word table; two maps and a head of rank 3."""
    model, terms = built("wechat_rank2", "pretrain")
    assert count(terms["alignment"]) == count(model) + 2 * 196_864 + 1
    caption = built("wechat_rank6", "pretrain", "dual")[1]["caption"]
    assert count(caption.layers, caption.LayerNorm) == 28_356_864
    _, terms = built("wechat_rank3b", "finetune")
    assert count(terms["picture"]) == 153_800 and count(terms["alignment"]) == 393_728 + 1
