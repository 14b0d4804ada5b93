"""Text layouts against the token ids the original preprocessing recorded."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.features import tokens
from lib.features.text import SpecialIds, cut_longest_first, fields_of, lay_out
from tests.golden_rule import load_case

SPECIAL = SpecialIds(pad=0, unk=2, cls=3, sep=4, mask=5)


def one(fields: list[np.ndarray], layout: str, length: int) -> tuple[list[int], list[int]]:
    """Ids and token types of a single video."""
    flat = np.concatenate(fields)
    lengths = np.array([[len(field)] for field in fields])
    starts = lengths.cumsum(axis=0) - lengths
    ids, mask, types = lay_out(flat, starts, lengths, layout, length, SPECIAL)
    assert mask.all()
    return ids[0].tolist(), types[0].tolist()


def test_aiac_10_r1_4_layouts():
    """AIAC specification 10, R1-4: a 60-character title keeps 33 or 34 pieces; cls-first begins [CLS] [SEP]."""
    title = np.arange(10, 70)
    first, _ = one([title], "cls_sep_title", 36)
    assert first[:2] == [3, 4] and first[-1] == 4 and len(first) == 36 and sum(piece >= 10 for piece in first) == 33
    video, _ = one([title], "cls_title", 36)
    assert len(video) == 36 and sum(piece >= 10 for piece in video) == 34


def test_empty_title():
    """A1.1: an empty title gives [CLS] [SEP] [SEP]."""
    assert one([np.array([], int)], "cls_sep_title", 36)[0] == [3, 4, 4]


def test_two_fields_have_types():
    assert one([np.array([10, 11]), np.array([12])], "title_asr", 8) == ([3, 10, 11, 4, 12, 4], [0, 0, 0, 0, 1, 1])


def test_three_fields_are_packed():
    """Budget 8 - 4 = 4 of 3 + 3 + 1 pieces: the two long ones give way, the first keeps the odd one."""
    fields = [np.array([10, 11, 12]), np.array([20, 21, 22]), np.array([30])]
    assert one(fields, "packed", 8)[0] == [3, 10, 11, 4, 20, 4, 30, 4]
    expected = [[-1, 0, 0, -1, 1, -1, 2, -1, -1], [-1, -1, -1, 2, 2, -1, -1, -1, -1]]
    assert fields_of(np.array([[3, 0], [3, 0], [1, 2]]), 8, 9).tolist() == expected


def test_a_neighbours_cuts():
    """golden/topsix/n8: as ours, but of equally long fields OCR gives way first, then ASR; cut alike, ids are the same."""
    case = load_case("topsix/n8/layout")
    lengths, kept = (case.array(name).T for name in ("in/lengths", "out/kept"))
    assert np.array_equal(cut_longest_first(lengths[[0, 2, 1]], 12)[[0, 2, 1]], kept)
    alike = (cut_longest_first(lengths, 12) == kept).all(axis=0)
    texts = [
        [6 + ord(sign) - 0x4E00 for name in ("title", "ocr", "asr") for sign in text[name]]
        for text in case.json("texts")
    ]
    flat = np.array([number for text in texts for number in text])
    starts = lengths.T.cumsum().reshape(-1, 3).T - lengths
    ids, mask, _ = lay_out(flat, starts, lengths, "packed", 16, SPECIAL, full=True)
    assert np.array_equal(mask, case.array("out/text_mask")) and alike.sum() == 9
    assert np.array_equal(ids[alike], case.array("out/input_ids")[alike])


def one_token_at_a_time(lengths: list[int], budget: int) -> list[int]:
    """The definition: always one token off the longest field, of equally long ones off the last."""
    kept = list(lengths)
    while sum(kept) > budget:
        kept[max(range(len(kept)), key=lambda i: (kept[i], i))] -= 1
    return kept


@given(
    videos=st.integers(1, 3).flatmap(
        lambda n: st.lists(st.lists(st.integers(0, 60), min_size=n, max_size=n), min_size=1, max_size=5)
    ),
    budget=st.integers(0, 80),
)
def test_the_longest_field_is_cut_first(videos, budget):
    expected = [one_token_at_a_time(lengths, budget) for lengths in videos]
    assert cut_longest_first(np.array(videos).T, budget).T.tolist() == expected


@given(
    titles=st.lists(st.integers(0, 9), min_size=1, max_size=5),
    layout=st.sampled_from(["cls_sep_title", "cls_title"]),
    length=st.integers(4, 14),
    full=st.booleans(),
)
def test_a_batch_is_its_videos_padded(titles, layout, length, full):
    flat, lengths = np.arange(100, 100 + sum(titles)), np.array([titles])
    starts = lengths.cumsum(axis=1) - lengths
    ids, mask, types = lay_out(flat, starts, lengths, layout, length, SPECIAL, full=full)
    pieces = np.split(flat, starts[0][1:])
    alone = [one([piece], layout, length)[0] for piece in pieces]
    width = length if full else max(map(len, alone))
    assert ids.tolist() == [video + [SPECIAL.pad] * (width - len(video)) for video in alone]
    assert mask.sum(axis=1).tolist() == list(map(len, alone)) and types.sum() == 0


def test_corpus_vocabulary_knows_characters_and_spells_rare_words():
    tokenizer = tokens.from_corpus(["猫 cat cat cat", "狗 zebra", ""])
    assert tokenizer.encode("猫狗Cat", add_special_tokens=False).tokens == ["猫", "狗", "cat"]
    assert tokenizer.encode("zebra", add_special_tokens=False).tokens == ["z", "##e", "##b", "##r", "##a"]
    assert tokenizer.encode("鱼", add_special_tokens=False).tokens == ["[UNK]"]
    assert tokens.special_ids(tokenizer) == SpecialIds(0, 1, 2, 3, 4)


def test_a_vocabulary_without_special_tokens_is_refused():
    from tokenizers import Tokenizer, models

    with pytest.raises(ValueError, match=r"\[CLS\]"):
        words = {"[PAD]": 0, "[UNK]": 1, "[SEP]": 2, "[MASK]": 3}
        tokens.special_ids(Tokenizer(models.WordPiece(words, unk_token="[UNK]")))
