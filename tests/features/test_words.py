"""Words: what is kept, how it is numbered, vectors that repeat, and the word-tag profile by hand."""

from pathlib import Path

import numpy as np
import pytest

from lib.data.schema import Video
from lib.data.writer import StoreWriter
from lib.features import words
from lib.features.sets import TokenSet
from lib.features.text import lay_out
from lib.recipes.load import load
from lib.recipes.specs import FeatureSet

ARGUMENTS = load(FeatureSet, "words").arguments("jieba")
TITLES = ["家常红烧肉", "家常红烧肉的做法", "红烧肉！家常", "健身教程", ""]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("words") / "store"
    with StoreWriter(folder, track="pairs", source="aiac2021") as writer:
        for number, title in enumerate(TITLES):
            frames = np.ones((1, 8), np.float16)
            tags = (7,) if "红烧肉" in title else (8,)
            facts = {"asr": "", "category": None, "part": "pointwise"}
            writer.add(Video(id=str(number + 1), title=title, tags=tags, frames=frames, **facts))
        return writer.finish(tags=[7, 8])


@pytest.fixture(scope="module")
def built(store, tmp_path_factory) -> tuple[TokenSet, Path]:
    folder = tmp_path_factory.mktemp("set") / "words"
    return words.build(store, folder, "digest", **ARGUMENTS), folder


def test_only_frequent_words_by_descending_count(built):
    tokens, folder = built
    assert (folder / "words.txt").read_text(encoding="utf-8").splitlines() == ["家常", "红烧肉"]
    assert tokens.lengths("title").tolist() == [2, 2, 2, 0, 0]
    assert tokens.vocab_size == 3 and tokens.special.pad == 0
    assert tokens.about["unknown_tokens"] == 5  # 的 做法 ！ 健身 教程


def test_layout_has_no_special_tokens_and_keeps_the_first(built):
    tokens, _ = built
    ids, mask, types = lay_out(*tokens.spans(np.array([0, 2, 4]), ["title"]), "words", 4, tokens.special, full=True)
    assert ids.tolist() == [[1, 2, 0, 0], [2, 1, 0, 0], [0, 0, 0, 0]]
    assert mask.sum(axis=1).tolist() == [2, 2, 0] and not types.any()


def test_vectors_repeat_and_padding_is_zero(store, built, tmp_path):
    tokens, _ = built
    assert tokens.vectors.shape == (3, 300) and not tokens.vectors[0].any() and tokens.vectors[1:].any()
    again = words.build(store, tmp_path / "again", "digest", **ARGUMENTS)
    assert np.array_equal(again.vectors, tokens.vectors)


def test_pieces_mark_what_is_left_out(built):
    assert built[0].pieces("家常做法") == ["家常", "[做法]"]


def test_aiac_b1_4_word_tag_profile_by_hand():
    """Two titles: word 1 twice with tag 0, word 2 with tag 0; word 2 with tag 1. Occurrences count, not titles."""
    tokens, offsets = np.array([1, 1, 2, 2]), np.array([0, 3, 4])
    profile = words.word_tags(tokens, offsets, np.array([0, 1, 2]), np.array([0, 1]), np.array([0, 1]), (3, 2))
    assert profile.toarray().tolist() == [[0, 0], [1, 0], [0.5, 0.5]]


def test_no_frequent_word_is_an_error(store, tmp_path):
    with pytest.raises(ValueError, match="lower min_count"):
        words.build(store, tmp_path / "none", "digest", **ARGUMENTS | {"min_count": 99})
    assert not (tmp_path / "none").exists()
