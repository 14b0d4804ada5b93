"""Tokenizers: a pretrained one by name or path, or one whose vocabulary is read off the corpus (no network, no weights).

The corpus vocabulary follows BERT's Chinese tokenizer: lower case, every Chinese character a token, other words as
pieces. Frequent words of other scripts are tokens of their own; rare ones are spelt in ``##`` pieces.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from lib.features.text import SpecialIds

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
BERT_SIZE = 21128  # vocabulary of the Chinese BERT models; a corpus vocabulary is cut there
WORD_MIN_COUNT = 3  # a word of another script seen less often is spelt


def from_corpus(texts: Iterable[str], min_count: int = 1) -> Tokenizer:
    """Build a WordPiece tokenizer from text, deterministic for equal text.

    Args:
        texts: field texts of all videos.
        min_count: rarer characters become [UNK].
    """
    normalizer = normalizers.BertNormalizer(lowercase=True)
    splitter = pre_tokenizers.BertPreTokenizer()
    words: Counter[str] = Counter()
    for text in texts:
        if text:
            words.update(word for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(text)))
    characters: Counter[str] = Counter()
    inside: Counter[str] = Counter()
    for word, count in words.items():
        characters[word[0]] += count
        for character in word[1:]:
            inside["##" + character] += count
    whole = Counter({word: count for word, count in words.items() if len(word) > 1 and count >= WORD_MIN_COUNT})
    pieces = [
        token for counter in (characters, inside, whole) for token, count in _ordered(counter) if count >= min_count
    ]
    vocabulary = {
        token: index for index, token in enumerate(dict.fromkeys([*SPECIAL, *pieces[: BERT_SIZE - len(SPECIAL)]]))
    }
    tokenizer = Tokenizer(models.WordPiece(vocab=vocabulary, unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = splitter
    return tokenizer


def _ordered(counter: Counter[str]) -> list[tuple[str, int]]:
    return sorted(counter.items(), key=lambda item: (-item[1], item[0]))


def pretrained(name_or_path: str) -> Tokenizer:
    """The fast tokenizer of a pretrained model, by name or local folder."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(name_or_path, use_fast=True).backend_tokenizer


def special_ids(tokenizer: Tokenizer) -> SpecialIds:
    """Raises ValueError if the tokenizer lacks one of BERT's special tokens."""
    ids = {name: tokenizer.token_to_id(name) for name in SPECIAL}
    missing = [name for name, value in ids.items() if value is None]
    if missing:
        raise ValueError(f"tokenizer has no {', '.join(missing)}: a BERT-style vocabulary is needed")
    return SpecialIds(*(ids[name] for name in SPECIAL))


def save(tokenizer: Tokenizer, folder: Path) -> None:
    tokenizer.save(str(folder / "tokenizer.json"))


def read(folder: Path) -> Tokenizer:
    return Tokenizer.from_file(str(folder / "tokenizer.json"))
