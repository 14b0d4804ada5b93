"""Frames and texts of AIAC ranks 6 and 17 as their own loaders give them (golden r6/preprocess, r17/preprocess): exact."""

import numpy as np
import pytest

from lib.data.batch import SpecialIds
from lib.features.frames import pick
from lib.features.text import lay_out
from tests.golden_rule import load_case

SPECIAL = SpecialIds(pad=0, unk=2, cls=3, sep=4, mask=5)  # of the recorded vocabulary
CHARACTERS, FIRST, VOCABULARY = 0x4E00, 6, 200


def pieces(text: str) -> list[int]:
    """Ids of the recorded vocabulary: a character a piece, in the order of its code point."""
    ids = [FIRST + ord(character) - CHARACTERS for character in text]
    return [number if FIRST <= number < VOCABULARY else SPECIAL.unk for number in ids]


def table(count: int, slots: int, rule: str) -> list[int]:
    """Which frame (counted from 1) is in which slot; 0 is padding."""
    taken = (pick(count, slots, rule) + 1).tolist()
    return taken + [0] * (slots - len(taken))


def test_rank6_frames():
    case = load_case("r6/preprocess")
    for count, loaded, number in zip(case["in/frame_counts"], case["out/loaded"], case["out/num_frames"], strict=True):
        assert table(int(count), 32, "segment_centre") == loaded.tolist()
        assert min(int(count), 32) == int(number)


def test_rank6_words():
    """Known words are numbered 1, 2, ... in the recording; the first 32 stay, the rest is zeros."""
    case = load_case("r6/preprocess")
    for count, expected in zip(case["in/title_words"], case["out/title_seq"], strict=True):
        words, start = np.arange(1, int(count) + 1), np.zeros((1, 1), int)
        ids, mask, _ = lay_out(words, start, np.array([[int(count)]]), "words", 32, SPECIAL, full=True)
        assert ids[0].tolist() == expected.tolist() and mask.sum() == min(int(count), 32)


@pytest.mark.parametrize(("model", "layout", "length"), [(1, "title_asr_cut", 64), (2, "cls_title_cut", 32)])
def test_aiac_10_r17_7_layout(model, layout, length):
    """R17-7, and the recorded ids: one [SEP] or none; types 0, then 1 for speech, then 0; the mask covers the tokens."""
    case = load_case("r17/preprocess")
    texts = case.json("texts")
    for number, fields in enumerate(texts):
        parts = [pieces(text) for text in fields[: 2 if model == 1 else 1]]
        lengths = np.array([[len(part)] for part in parts])
        starts = np.concatenate([[0], lengths.ravel().cumsum()[:-1]])[:, None]
        flat = np.array([number for part in parts for number in part], dtype=np.int64)
        ids, mask, types = lay_out(flat, starts, lengths, layout, length, SPECIAL, full=True)
        assert ids[0].tolist() == case[f"out/model{model}_input_ids"][number].tolist()
        assert mask[0].astype(int).tolist() == case[f"out/model{model}_attention_mask"][number].tolist()
        assert types[0].tolist() == case[f"out/model{model}_token_type_ids"][number].tolist()
        assert (ids[0] == SPECIAL.sep).sum() <= 1


def test_rank17_frames():
    case = load_case("r17/preprocess")
    for count, expected, mask in zip(
        case["in/frame_counts"], case["out/model1_frame_table"], case["out/model1_frame_mask"], strict=True
    ):
        assert table(int(count), 32, "head") == expected.tolist()
        assert int(mask.sum()) == min(int(count), 32) + 1  # the learnable first slot is one more
