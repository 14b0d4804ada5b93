"""Token sets: the text of a corpus tokenized once, memory-mapped by video row, fields apart and without special tokens,
so that every layout (``lib.features.text``) can be laid out from one set.

The tokenizer is a pretrained one by name or path, or one whose vocabulary is read off the corpus as BERT's Chinese one
is: lower case, every Chinese character a token, frequent words of other scripts whole, rare ones in ``##`` pieces.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from tqdm.auto import tqdm

from lib.data.batch import SpecialIds
from lib.data.store import Store
from lib.features.fields import prepare, segment
from lib.features.sets import TokenSet, WordPieces, building, is_made
from lib.runs import backbones
from lib.runs.files import write_text

CHUNK = 4096  # videos tokenized at a time: bounds memory
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
BERT_SIZE = 21128  # vocabulary of the Chinese BERT models; a corpus vocabulary is cut there
WORD_MIN_COUNT = 3  # a word of another script seen less often is spelt


def build(
    store: Store,
    folder: Path,
    digest: str,
    *,
    tokenizer: str = "corpus",
    fields: Sequence[str] = ("title", "asr", "ocr"),
    min_count: int = 1,
    max_characters: int = 512,
    rules: Mapping[str, Any] | None = None,
    word_min_count: int | None = None,
) -> TokenSet:
    """Tokenize every field of every video; atomic, in constant memory.

    Args:
        min_count: of a corpus vocabulary; rarer characters become [UNK].
        word_min_count: jieba's words that occur so often stay whole (``WordPieces``); None: none does.
        rules: arguments of ``fields.prepare``; None takes the fields as they are.
    """
    if is_made(folder, digest):
        return TokenSet(folder)
    lengths, unknown = np.zeros((len(fields), len(store)), dtype=np.int64), 0
    with building(folder, store, digest) as (partial, facts):

        def texts() -> Iterator[str]:
            read = columns(store, fields, max_characters, rules)
            return (text for chunk in read for column in chunk.values() for text in column)

        made = from_corpus(texts(), min_count) if tokenizer == "corpus" else pretrained(tokenizer)
        made.save(str(partial / "tokenizer.json"))
        special, whole = special_ids(made), WordPieces(made, [])
        if word_min_count is not None:
            whole = WordPieces(made, frequent_words(texts(), made, word_min_count))
            write_text(partial / "words.txt", "\n".join(whole.words))
        with (partial / "tokens.i32").open("wb") as file:
            for number, field in enumerate(fields):
                row, total = 0, -(-len(store) // CHUNK)
                read = columns(store, [field], max_characters, rules)
                for chunk in tqdm(read, total=total, desc=f"tokenize {field}", unit="chunk"):
                    for found in whole.encode(chunk[field]):
                        ids = np.array(found, dtype="<i4")
                        unknown += int((ids == special.unk).sum())
                        lengths[number, row] = len(ids)
                        file.write(ids.tobytes())
                        row += 1
        ends = lengths.reshape(-1).cumsum().reshape(lengths.shape)
        np.save(partial / "offsets.npy", np.concatenate([np.r_[0, ends[:-1, -1]][:, None], ends], axis=1))
        facts |= {
            "fields": list(fields),
            "tokenizer": tokenizer,
            "tokens": int(lengths.sum()),
            "unknown_tokens": unknown,
        }
        facts |= {"special": special.__dict__, "vocab_size": made.get_vocab_size() + len(whole.words)}
    return TokenSet(folder)


def frequent_words(texts: Iterable[str], tokenizer: Tokenizer, min_count: int) -> list[str]:
    """jieba's words of several known tokens that occur so often, most frequent first; their count is the corpus' alone."""
    counted = Counter(word for text in texts for word in segment(text.lower(), unknown=False) if len(word) > 1)
    often = [word for word, count in _ordered(counted) if count >= min_count]
    unknown = tokenizer.token_to_id("[UNK]")
    cut = tokenizer.encode_batch_fast(often, add_special_tokens=False)
    return [word for word, each in zip(often, cut, strict=True) if len(each.ids) > 1 and unknown not in each.ids]


def columns(
    store: Store, fields: Sequence[str], most: int, rules: Mapping[str, Any] | None
) -> Iterator[dict[str, list[str]]]:
    """Texts of a corpus by field, ``CHUNK`` videos at a time; OCR lines in order of time, joined by a comma (as rank 72 of
    WeChat 2022 does)."""
    videos = store.iter_videos(frames=False)
    while chunk := list(islice(videos, CHUNK)):
        found: dict[str, list[str]] = {field: [] for field in fields}
        for video in chunk:
            ocr = ",".join(text for _, text in sorted(video.ocr, key=lambda line: line[0]))
            texts = {"title": video.title, "asr": video.asr, "ocr": ocr}
            for field in fields:
                found[field].append((texts[field] if rules is None else prepare(field, texts, **rules))[:most])
        yield found


def from_corpus(texts: Iterable[str], min_count: int = 1) -> Tokenizer:
    """Build a WordPiece tokenizer from text, deterministic for equal text. ``min_count``: rarer characters become
    [UNK]."""
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
    pieces = [token for found in (characters, inside, whole) for token, count in _ordered(found) if count >= min_count]
    known = dict.fromkeys([*SPECIAL, *pieces[: BERT_SIZE - len(SPECIAL)]])
    vocabulary = {token: index for index, token in enumerate(known)}
    tokenizer = Tokenizer(models.WordPiece(vocab=vocabulary, unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = splitter
    return tokenizer


def _ordered(counter: Counter[str]) -> list[tuple[str, int]]:
    return sorted(counter.items(), key=lambda item: (-item[1], item[0]))


def pretrained(name_or_path: str) -> Tokenizer:
    """The fast tokenizer of a pretrained model, by name or local folder; one of ``params/backbones`` needs no network."""
    if folder := backbones.folder(name_or_path):
        return Tokenizer.from_file(str(folder / "tokenizer.json"))
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(name_or_path, use_fast=True).backend_tokenizer


def special_ids(tokenizer: Tokenizer) -> SpecialIds:
    """Raises ValueError if the tokenizer lacks one of BERT's special tokens."""
    ids = {name: number for name in SPECIAL if (number := tokenizer.token_to_id(name)) is not None}
    if missing := [name for name in SPECIAL if name not in ids]:
        raise ValueError(f"tokenizer has no {', '.join(missing)}: a BERT-style vocabulary is needed")
    return SpecialIds(*(ids[name] for name in SPECIAL))
