"""AIAC rank 6: published numbers of parameters (R6-2), on the meta device: no memory, no weights, no network.

Word vectors are not counted, the tag head is. Layers of the originals that nothing uses are left out here and added
back by their size.
"""

import pytest
import torch

from tests.golden_models_aiac_rank6 import model, tag_focal

WORDS = 1000
TAGS = 256 * 10000 + 10000
FRAMES_TO_WORDS = 1536 * 300 + 300  # a linear map that ``lstm`` and ``inception_lxmert`` define and never call
POOLER = 768 * 768 + 768  # BERT's, whose output nothing reads
# B7-10: 1280 -> 256, kernel 1; 256 -> 256, kernel 5; scale and shift of its norm; on either side
THIRD_BRANCH = 2 * (1280 * 256 + 256 + 5 * 256 * 256 + 256 + 2 * 256)
PUBLISHED = {
    "erc": (20_681_596, THIRD_BRANCH),
    "esim": (61_195_836, 0),
    "lstm": (13_181_244, FRAMES_TO_WORDS),
    "lstm_nextvlad": (23_164_440, 0),
    "gru_lxmert": (55_017_276, 0),
    "inception_lxmert": (55_738_428, FRAMES_TO_WORDS),
    "light_lxmert": (68_562_960, 0),
    "lxmert": (156_425_232, POOLER),
}


def count(*modules) -> int:
    return sum(parameter.numel() for module in modules for parameter in module.parameters())


@pytest.mark.parametrize("name", PUBLISHED)
def test_aiac_10_r6_2_parameters(name):
    published, unused = PUBLISHED[name]
    with torch.device("meta"):
        built = model(name, faithful=True, vocab_size=21128 if name == "lxmert" else WORDS, frame_dim=1536)
        tags = tag_focal(name, 10000)
    words = 0 if name == "lxmert" else built.text.words.table.weight.numel()
    assert count(tags) == TAGS
    assert count(built, tags) - words + unused == published


def test_aiac_10_r6_2_parts():
    """NeXtVLAD 18,927,112, one cross-modal layer 16,539,648, BERT 102,267,648 with its pooler."""
    with torch.device("meta"):
        vlad = model("lstm_nextvlad", faithful=True, vocab_size=WORDS, frame_dim=1536).frames.vlad
        lxmert = model("lxmert", faithful=True, vocab_size=21128, frame_dim=1536)
    assert count(vlad) == 18_927_112
    assert [count(layer) for layer in lxmert.fusion.layers] == [16_539_648] * 3
    assert count(lxmert.text) + POOLER == 102_267_648


def test_fixed_enhanced_rcnn_has_the_third_branch():
    with torch.device("meta"):
        faithful, fixed = (model("erc", faithful=f, vocab_size=WORDS, frame_dim=1536) for f in (True, False))
    wider = 4 * 2 * 256 * 256  # maps side by side double what is pooled, per side 512; four match features, to 256
    assert count(fixed) == count(faithful) + THIRD_BRANCH + wider
