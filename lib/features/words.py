"""Word sets: titles cut into words, a vocabulary, skip-gram vectors, and what each word says about tags (AIAC rank 6).

A word set is a token set (``lib.features.tokens``) whose tokens are words, with ``vectors.npy`` float32 [V + 1, D] beside
it. Id 0 is padding and has a zero vector; words that are too rare are left out, not mapped to an "unknown" (quirk B7-15).
"""

from __future__ import annotations

import itertools
import logging
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix
from tqdm.auto import tqdm

from lib.data.store import Store
from lib.features.text import SpecialIds
from lib.features.tokens import TokenSet, install
from lib.recipes.specs import FeatureSet, WordVectorSpec
from lib.runs.files import read_json, write_json, write_text

PADDING = 0
SPECIAL = SpecialIds(pad=PADDING, unk=-1, cls=-1, sep=-1, mask=-1)  # words have no special tokens but padding
SEPARATOR = "\t"  # between the words of a title on disk; jieba gives no word with one but the tabulator itself


def segment(text: str) -> list[str]:
    """Words of a text, punctuation and blanks included: jieba's default dictionary, unknown words by its hidden Markov model.

    >>> segment("家常红烧肉")
    ['家常', '红烧肉']
    """
    import jieba

    jieba.setLogLevel(logging.WARNING)
    return jieba.lcut(text)


def build(store: Store, folder: Path, spec: FeatureSet, digest: str) -> TokenSet:
    """Segment every title, count, encode, train the vectors; atomic, in memory that grows with the vocabulary only.

    Args:
        digest: what the set depends on; an existing set with the same digest is returned as it is.

    Raises:
        ValueError: the spec has no ``vectors``, or no word of the corpus is frequent enough.
    """
    folder = Path(folder)
    done = folder / "features.json"
    if done.exists() and read_json(done)["digest"] == digest:
        return TokenSet(folder)
    if spec.vectors is None:
        raise ValueError("a set of words needs vectors: {dim: ..., ...}")
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    counts: Counter[str] = Counter()
    segmented = partial / "segmented.txt"
    with segmented.open("w", encoding="utf-8") as file:
        for video in tqdm(store.iter_videos(), total=len(store), desc="segment titles", unit="title"):
            words = [word for word in segment(video.title[: spec.max_characters]) if word.strip(SEPARATOR + "\r\n")]
            counts.update(words)
            file.write(SEPARATOR.join(word.replace("\n", " ") for word in words) + "\n")
    vocabulary = [word for word, count in counts.most_common() if count >= spec.min_count]
    if not vocabulary:
        raise ValueError(f"no word occurs {spec.min_count} times in the {len(store)} titles; lower min_count")
    lengths, dropped = _encode(segmented, partial / "tokens.i32", vocabulary)
    np.save(partial / "offsets.npy", np.concatenate([[0], lengths.cumsum()])[None])
    write_text(partial / "words.txt", "".join(f"{word}\n" for word in vocabulary))
    vectors = train_vectors(_lines(segmented), vocabulary, spec.vectors)
    if spec.vectors.tag_dim:
        vectors = np.concatenate([vectors, _tag_part(store, partial, lengths, vectors, spec.vectors)], axis=1)
    np.save(partial / "vectors.npy", vectors)
    segmented.unlink()
    about = {
        "digest": digest, "fields": ["title"], "tokenizer": "jieba", "vocab_size": len(vocabulary) + 1, "special": SPECIAL.__dict__,
        "videos": len(store), "tokens": int(lengths.sum()), "unknown_tokens": dropped, "vector_dim": vectors.shape[1],
        "corpus": store.fingerprint,
    }  # fmt: skip
    write_json(partial / "features.json", about)
    install(partial, folder, ("words.txt", "vectors.npy", "tokens.i32", "offsets.npy", "features.json"))
    return TokenSet(folder)


def train_vectors(titles: Iterator[list[str]], vocabulary: list[str], spec: WordVectorSpec) -> np.ndarray:
    """Skip-gram vectors, float32 [V + 1, dim], row 0 zero. One worker: the original's 20 made every run another one."""
    from gensim.models import Word2Vec

    known = set(vocabulary)
    sentences = [[word for word in title if word in known] for title in titles]
    model = Word2Vec(
        sentences, sg=1, vector_size=spec.dim, window=spec.window, negative=spec.negative, epochs=spec.epochs, min_count=1,
        seed=spec.seed, workers=1,
    )  # fmt: skip
    return np.concatenate([np.zeros((1, spec.dim), np.float32), model.wv[vocabulary].astype(np.float32)])


def word_tags(
    tokens: np.ndarray,
    offsets: np.ndarray,
    indptr: np.ndarray,
    indices: np.ndarray,
    rows: np.ndarray,
    shape: tuple[int, int],
) -> csr_matrix:
    """P(tag | an occurrence of the word), [V + 1, K] in [0, 1] (AIAC rank 6 computes it and never uses it; §B1.4).

    Args:
        tokens, offsets: word ids of all videos end to end; video ``n`` has ``tokens[offsets[n] : offsets[n + 1]]``.
        indptr, indices: tags of all videos, by row.
        rows: the videos to count in. A word that occurs twice in a title counts twice.
        shape: V + 1 and K.
    """
    counts = np.diff(offsets)[rows]
    word = np.concatenate([tokens[:0], *(tokens[offsets[row] : offsets[row + 1]] for row in rows)])
    owner = np.repeat(np.arange(len(rows)), counts)
    occurs = csr_matrix((np.ones(len(word)), (word, owner)), shape=(shape[0], len(rows)))
    tags = csr_matrix((np.ones(len(indices)), indices, indptr), shape=(len(indptr) - 1, shape[1]))[rows]
    total = np.asarray(occurs.sum(axis=1)).ravel()
    return csr_matrix((occurs @ tags).multiply(1 / np.maximum(total, 1)[:, None]))


def _tag_part(
    store: Store, partial: Path, lengths: np.ndarray, vectors: np.ndarray, spec: WordVectorSpec
) -> np.ndarray:
    """The word-tag profile reduced to ``tag_dim`` numbers a word, scaled to the spread of the skip-gram vectors.

    Counted on videos outside the labelled pairs only, as the original does.
    """
    from sklearn.decomposition import TruncatedSVD

    indptr, indices, known = store.tags_csr()
    rows = store.rows("pointwise") if "pointwise" in set(store.parts) else store.rows()
    offsets = np.concatenate([[0], lengths.cumsum()])
    tokens = np.fromfile(partial / "tokens.i32", dtype="<i4")
    profile = word_tags(
        tokens, offsets, indptr, indices, rows[known[rows]], (len(vectors), len(store.manifest["tags"] or ()))
    )
    size = min(spec.tag_dim, min(profile.shape) - 1)
    reduced = TruncatedSVD(size, random_state=spec.seed).fit_transform(profile)
    result = np.zeros((len(vectors), spec.tag_dim), np.float32)
    result[:, :size] = reduced / max(float(reduced[1:].std()), 1e-9) * float(vectors[1:].std())
    result[PADDING] = 0
    return result


def _encode(segmented: Path, out: Path, vocabulary: list[str]) -> tuple[np.ndarray, int]:
    """Writes the word ids; returns how many each title has, int64 [N], and how many words were left out."""
    number = {word: position for position, word in enumerate(vocabulary, start=PADDING + 1)}
    lengths, dropped = [], 0
    with out.open("wb") as file:
        for words in _lines(segmented):
            ids = np.array([number[word] for word in words if word in number], dtype="<i4")
            dropped += len(words) - len(ids)
            lengths.append(len(ids))
            file.write(ids.tobytes())
    return np.array(lengths, np.int64), dropped


def _lines(segmented: Path) -> Iterator[list[str]]:
    with segmented.open(encoding="utf-8", newline="\n") as file:
        for line in file:
            yield list(itertools.filterfalse(lambda word: word == "", line.rstrip("\n").split(SEPARATOR)))
