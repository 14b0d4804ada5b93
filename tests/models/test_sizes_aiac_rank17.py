"""Numbers of parameters of AIAC rank 17, on the meta device: no memory, no weights, no network."""

import torch

from lib.models import (
    BertText,
    CrossTransformer,
    FirstAndFramesPool,
    FirstPooled,
    FrameLinear,
    GatedProjection,
    GatedSum,
    Identity,
    VideoTransformer,
)
from lib.models.video_model import VideoModel
from lib.objectives import TagFocal

POOLER = 768 * 768 + 768  # of BERT; the original carries two that nothing reads
WORDS = 21128 * 768  # a word table for states that are no words, neither
BASE = "bert-base-chinese"


def _count(*modules, trained: bool = False) -> int:
    return sum(p.numel() for module in modules for p in module.parameters() if p.requires_grad or not trained)


def _gated_sum(**options) -> VideoModel:
    with torch.device("meta"):
        text, frames = BertText(BASE, vocab_size=21128, pool="first"), VideoTransformer(1536, **options)
        return VideoModel(text, frames, GatedSum(768, 1536), FirstPooled(256), Identity(256))


def _cross() -> VideoModel:
    with torch.device("meta"):
        text = BertText(BASE, vocab_size=21128, pool="first", norm=True, token_types=False)
        fusion = CrossTransformer(768, 768, num_text_slots=32)
        return VideoModel(
            text, FrameLinear(1536, 768, dropout=0.0), fusion, FirstAndFramesPool(768), GatedProjection(1536)
        )


def test_aiac_10_r17_4_first_model():
    """C2.1, C2.2 and R17-4: 109,957,648 and 185,314,576 with tag heads, 854,016 trained in finetuning."""
    model = _gated_sum(positions="none")
    with torch.device("meta"):
        of_text = TagFocal(10000, 256, text_dim=768, input="text")
        of_frames = TagFocal(10000, 256, frames_dim=1536, input="frames")
    assert _count(model.text, of_text) + POOLER == 109_957_648
    assert _count(model.frames) == 169_944_576 and _count(model.frames, of_frames) == 185_314_576
    assert {_count(layer) for layer in model.frames.layers} == {28_323_840}
    model.freeze(("text", "frames"))
    assert _count(model, trained=True) == _count(model.fusion) == 854_016
    assert _count(_gated_sum().frames) == 169_944_576 + 32 * 1536, "mended: frames know their place (C7-3)"


def test_aiac_10_r17_4_second_model():
    """C2.3, C2.4 and R17-4: 178,560,016 with tag head; 2,757,376 for gate and projection, 59,740,416 for the layers."""
    model = _cross()
    with torch.device("meta"):
        tags = TagFocal(10000, 768, pooled_dim=model.pooling.output_dim, input="pooled")
    assert _count(model.head) == 2_757_376 and _count(model.fusion) + WORDS + POOLER == 59_740_416
    assert _count(model.text, model.frames, model.fusion, tags) + WORDS + 2 * POOLER == 178_560_016
    model.freeze(("text", "frames"))
    assert _count(model, trained=True) + WORDS + POOLER == 2_757_376 + 59_740_416
