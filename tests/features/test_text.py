"""Text layouts against the token ids the original preprocessing recorded."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.features import vocabulary
from lib.features.text import SpecialIds, assemble, cut_longest_first, pad

SPECIAL = SpecialIds(pad=0, unk=2, cls=3, sep=4, mask=5)


def test_r1_4_layouts():
    """AIAC specification 10, R1-4: a 60-character title keeps 33 or 34 pieces; cls-first begins [CLS] [SEP]."""
    title = np.arange(10, 70)
    first, _ = assemble({"title": title}, "cls_sep_title", 36, SPECIAL)
    assert first[:2].tolist() == [3, 4] and first[-1] == 4 and len(first) == 36 and (first >= 10).sum() == 33
    video, _ = assemble({"title": title}, "cls_title", 36, SPECIAL)
    assert len(video) == 36 and (video >= 10).sum() == 34


def test_empty_title():
    """A1.1: an empty title gives [CLS] [SEP] [SEP]."""
    assert assemble({"title": np.array([], int)}, "cls_sep_title", 36, SPECIAL)[0].tolist() == [3, 4, 4]


def test_two_fields_have_types():
    ids, types = assemble({"title": np.array([10, 11]), "asr": np.array([12])}, "title_asr", 8, SPECIAL)
    assert ids.tolist() == [3, 10, 11, 4, 12, 4] and types.tolist() == [0, 0, 0, 0, 1, 1]


@given(lengths=st.lists(st.integers(0, 60), min_size=1, max_size=3), budget=st.integers(0, 80))
def test_the_longest_field_is_cut_first(lengths, budget):
    kept = cut_longest_first(lengths, budget)
    assert sum(kept) == min(sum(lengths), budget)
    assert all(k <= n for k, n in zip(kept, lengths, strict=True))
    cut = [k for k, n in zip(kept, lengths, strict=True) if k < n]
    assert not cut or max(kept) - min(cut) <= 1


def test_pad_is_batch_wide_or_fixed():
    rows = [(np.array([3, 9, 4]), np.zeros(3, int)), (np.array([3, 4]), np.zeros(2, int))]
    ids, mask, _ = pad(rows, SPECIAL)
    assert ids.tolist() == [[3, 9, 4], [3, 4, 0]] and mask.sum() == 5
    assert pad(rows, SPECIAL, 6)[0].shape == (2, 6)


def test_corpus_vocabulary_knows_characters_and_spells_rare_words():
    tokenizer = vocabulary.from_corpus(["猫 cat cat cat", "狗 zebra", ""])
    assert tokenizer.encode("猫狗Cat", add_special_tokens=False).tokens == ["猫", "狗", "cat"]
    assert tokenizer.encode("zebra", add_special_tokens=False).tokens == ["z", "##e", "##b", "##r", "##a"]
    assert tokenizer.encode("鱼", add_special_tokens=False).tokens == ["[UNK]"]
    assert vocabulary.special_ids(tokenizer) == SpecialIds(0, 1, 2, 3, 4)


def test_a_vocabulary_without_special_tokens_is_refused():
    from tokenizers import Tokenizer, models

    with pytest.raises(ValueError, match=r"\[CLS\]"):
        vocabulary.special_ids(Tokenizer(models.WordPiece({"[PAD]": 0, "[UNK]": 1, "[SEP]": 2, "[MASK]": 3}, unk_token="[UNK]")))
