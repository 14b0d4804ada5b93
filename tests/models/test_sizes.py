"""Published numbers of parameters, on the meta device: no memory, no weights, no network."""

import torch

from lib.features.text import SpecialIds
from lib.models import (
    BertText,
    Classifier,
    ConcatSE,
    Embeddings,
    FirstPooled,
    FrameProjection,
    MeanPool,
    NextVladFrames,
    Projection,
    SingleStream,
)
from lib.models.video_model import VideoModel
from lib.objectives import MaskedFrames, MaskedTokens, TagBCE

LARGE = "hfl/chinese-roberta-wwm-ext-large"


def _count(*modules) -> int:
    return sum(parameter.numel() for module in modules for parameter in module.parameters())


def test_aiac_10_r1_7_parameters():
    """R1-7 and A2.4, term by term: 384,056,472 with the dead word table of the frames (A7-14), which we leave out."""
    with torch.device("meta"):
        text, frames = Embeddings(LARGE, vocab_size=21128), FrameProjection(1536, 1024)
        fusion, head = SingleStream(LARGE, 1024, 1024), Projection(1024, 256)
        tokens = MaskedTokens(1024, 21128, SpecialIds(0, 100, 101, 102, 103), backbone=LARGE)
        mfm, tags = MaskedFrames(1024, 1536), TagBCE(10000, 1024, 256)
    assert _count(text) == 22_163_456
    assert _count(frames) + 21_635_072 == 22_163_456 + 1_573_888
    assert _count(fusion) == 302_309_376
    assert [_count(tokens), _count(mfm), _count(head), _count(tags)] == [22_707_848, 2_626_048, 262_400, 10_250_000]
    assert _count(text, frames, fusion, head, tokens, mfm, tags) + 21_635_072 == 384_056_472
    assert _count(MeanPool(1024)) == 0


def test_wechat_15_system0_1_parameters():
    """System 0-1: 118,192,080 in the preliminary form, NeXtVLAD alone 14,576,136."""
    with torch.device("meta"):
        model = VideoModel(
            text=BertText("hfl/chinese-macbert-base", vocab_size=21128),
            frames=NextVladFrames(768),
            fusion=ConcatSE(768, 1024),
            pooling=FirstPooled(512),
            head=Classifier(512, 200),
        )
    assert _count(model) == 118_192_080 and _count(model.frames.vlad) == 14_576_136
