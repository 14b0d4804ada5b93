"""Whole words among characters: recorded cuts, ids, lengths, and embeddings that begin as the mean of their characters."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from transformers import BertConfig, BertForPreTraining

from lib.data.writer import StoreWriter
from lib.features import tokens
from lib.features.sets import WordPieces
from lib.models import BertText, Embeddings
from lib.objectives import MaskedTokens
from tests.golden_rule import load_case


def base(vocabulary: list[str]) -> Tokenizer:
    made = Tokenizer(models.WordPiece(vocab={w: n for n, w in enumerate(vocabulary)}, unk_token="[UNK]"))
    made.normalizer, made.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    return made


def test_recorded_cuts():
    """golden/topsix/words: jieba's words that the vocabulary has stay whole, all else falls back to characters."""
    case = load_case("topsix/words/roformer")
    vocabulary = case.settings["vocabulary"]
    words = [word for word in vocabulary if len(word) > 1 and not word.startswith(("[", "##"))]
    pieces = WordPieces(base([token for token in vocabulary if token not in words]), words)
    names = {
        **{number: token for token, number in pieces.base.get_vocab().items()},
        **{n: w for w, n in pieces.ids.items()},
    }
    texts = case.json("texts")
    found = [[names[number] for number in ids] for ids in pieces.encode([text["text"] for text in texts])]
    assert found == [text["tokens"] for text in texts] and len(texts) == 6


def test_repeated_words_and_texts_without_any():
    pieces = WordPieces(base(["[PAD]", "[UNK]", "今", "天", "好"]), ["今天"])
    assert pieces.encode(["今天今天好", "好", "", "今天 今天"]) == [[5, 5, 4], [4], [], [5, 5]]
    assert WordPieces(pieces.base, []).encode(["今天好"]) == [[2, 3, 4]]


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    from lib.data.schema import Video

    folder = tmp_path_factory.mktemp("words")
    with StoreWriter(folder / "store", track="classes", source="custom", frame_dim=2) as writer:
        for number in range(6):
            frames = np.zeros((1, 2), np.float16)
            video = Video(
                id=f"{number:020d}", title="今天天气非常好" if number else "红烧肉", part="unlabeled", frames=frames
            )
            writer.add(replace(video, asr="今天ABC" if number else ""))
        store = writer.finish(categories=["0000"])
    return [
        tokens.build(store, folder / str(count), str(count), tokenizer="corpus", word_min_count=count)
        for count in (None, 3)
    ]


def test_frequent_words_join_the_vocabulary(sets):
    """System 6-2: never more tokens than in characters, and the same characters."""
    characters, words = sets
    assert characters.word_pieces is None and words.vocab_size == characters.vocab_size + len(words.word_pieces)
    for field in ("title", "asr"):
        assert (words.lengths(field) <= characters.lengths(field)).all() and (
            words.lengths(field) < characters.lengths(field)
        ).any()
    assert words.pieces("今天红烧肉") == ["今天", *characters.pieces("红烧肉")]
    assert characters.pieces("今天") == ["今", "天"]
    for row in range(6):
        ids = words.fields(row)["title"].tolist()
        first = characters.vocab_size
        spelt = [part for i in ids for part in (words.word_pieces[i - first] if i >= first else [i])]
        assert spelt == characters.fields(row)["title"].tolist()
    assert json.loads((words.folder / "features.json").read_text())["unknown_tokens"] == 0


@pytest.mark.parametrize("encoder", [Embeddings, BertText])
def test_new_rows_begin_as_the_mean_of_their_characters(sets, encoder):
    """System 6-5."""
    words = sets[1]
    torch.manual_seed(0)
    table = encoder("tiny-1x32", words.vocab_size, word_pieces=words.word_pieces).word_table
    assert table.shape == (words.vocab_size, 32) and table.requires_grad
    first = words.vocab_size - len(words.word_pieces)
    for number, pieces in enumerate(words.word_pieces):
        torch.testing.assert_close(table[first + number], table[pieces].mean(dim=0))
    assert len({len(pieces) for pieces in words.word_pieces}) > 0 and first > 5


@pytest.mark.parametrize("tied", [False, True])
def test_masked_words_start_from_a_backbone_that_knows_characters_only(sets, tmp_path, tied):
    characters, words = sets
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    known = BertForPreTraining(BertConfig(vocab_size=characters.vocab_size, **sizes))
    known.cls.predictions.bias.data.normal_()
    known.save_pretrained(tmp_path)
    given = {"tied": tied, "backbone": str(tmp_path), "word_pieces": words.word_pieces}
    head = MaskedTokens(32, words.vocab_size, words.special, **given).head
    table, bias = known.cls.predictions.decoder.weight, known.cls.predictions.bias
    first = len(table)
    assert head.bias.shape == (words.vocab_size,) and torch.equal(head.bias[:first], bias)
    for number, pieces in enumerate(words.word_pieces, first):
        torch.testing.assert_close(head.bias[number], bias[pieces].mean())
        if not tied:
            torch.testing.assert_close(head.table[number], table[pieces].mean(dim=0))
    assert (head.table is None) == tied or torch.equal(head.table[:first], table)
