"""Word sets: titles cut into words, a vocabulary, skip-gram vectors, and what each word says about tags (AIAC rank 6).

A word set is a token set (``lib.features.sets``) whose tokens are words, with ``vectors.npy`` float32 [V + 1, D] beside
it. Id 0 is padding and has a zero vector; words that are too rare are left out, not mapped to an "unknown" (quirk B7-15).
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix
from tqdm.auto import tqdm

from lib.data.batch import SpecialIds
from lib.data.store import Store
from lib.features.fields import segment
from lib.features.sets import TokenSet, building, is_made
from lib.runs.files import write_text

PADDING = 0
SPECIAL = SpecialIds(pad=PADDING, unk=-1, cls=-1, sep=-1, mask=-1)  # words have no special tokens but padding
SEPARATOR = "\t"  # between the words of a title on disk; jieba gives no word with one but the tabulator itself


def build(
    store: Store,
    folder: Path,
    digest: str,
    *,
    vectors: Mapping[str, Any],
    min_count: int = 3,
    max_characters: int = 512,
) -> TokenSet:
    """Segment every title, count, encode, train the vectors; atomic, in memory that grows with the vocabulary only.
    Raises ValueError: no word of the corpus is frequent enough. ``vectors``: arguments of ``train_vectors``, and
    ``tag_dim``, further numbers per word: its tag profile, reduced."""
    if is_made(folder, digest):
        return TokenSet(folder)
    counts: Counter[str] = Counter()
    with building(folder, store, digest) as (partial, facts):
        segmented = partial / "segmented.txt"
        videos = tqdm(store.iter_videos(frames=False), total=len(store), desc="segment titles", unit="title")
        with segmented.open("w", encoding="utf-8") as file:
            for video in videos:
                words = [word for word in segment(video.title[:max_characters]) if word.strip(SEPARATOR + "\r\n")]
                counts.update(words)
                file.write(SEPARATOR.join(word.replace("\n", " ") for word in words) + "\n")
        vocabulary = [word for word, count in counts.most_common() if count >= min_count]
        if not vocabulary:
            raise ValueError(f"no word occurs {min_count} times in the {len(store)} titles; lower min_count")
        lengths, dropped = _encode(segmented, partial / "tokens.i32", vocabulary)
        np.save(partial / "offsets.npy", np.concatenate([[0], lengths.cumsum()])[None])
        write_text(partial / "words.txt", "".join(f"{word}\n" for word in vocabulary))
        options = {name: value for name, value in vectors.items() if name != "tag_dim"}
        table = train_vectors(_lines(segmented), vocabulary, **options)
        if size := vectors.get("tag_dim", 0):
            profile = _tag_part(store, partial, lengths, table, size, options["seed"])
            table = np.concatenate([table, profile], axis=1)
        np.save(partial / "vectors.npy", table)
        segmented.unlink()
        facts |= {"fields": ["title"], "tokenizer": "jieba", "vocab_size": len(table), "special": SPECIAL.__dict__}
        facts |= {"tokens": int(lengths.sum()), "unknown_tokens": dropped, "vector_dim": table.shape[1]}
    return TokenSet(folder)


def train_vectors(
    titles: Iterator[list[str]],
    vocabulary: list[str],
    *,
    dim: int,
    window: int = 30,
    negative: int = 5,
    epochs: int = 8,
    seed: int = 2020,
) -> np.ndarray:
    """Skip-gram vectors, float32 [V + 1, dim], row 0 zero. One worker: the original's 20 made every run another one."""
    from gensim.models import Word2Vec

    known = set(vocabulary)
    sentences = [[word for word in title if word in known] for title in titles]
    model = Word2Vec(
        sentences, sg=1, vector_size=dim, window=window, negative=negative, epochs=epochs, min_count=1, seed=seed, workers=1,
    )  # fmt: skip
    return np.concatenate([np.zeros((1, dim), np.float32), model.wv[vocabulary].astype(np.float32)])


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
        rows: the videos to count in. A word that occurs twice in a title counts twice.
    """
    counts = np.diff(offsets)[rows]
    word = np.concatenate([tokens[:0], *(tokens[offsets[row] : offsets[row + 1]] for row in rows)])
    owner = np.repeat(np.arange(len(rows)), counts)
    occurs = csr_matrix((np.ones(len(word)), (word, owner)), shape=(shape[0], len(rows)))
    tags = csr_matrix((np.ones(len(indices)), indices, indptr), shape=(len(indptr) - 1, shape[1]))[rows]
    total = np.asarray(occurs.sum(axis=1)).ravel()
    return csr_matrix((occurs @ tags).multiply(1 / np.maximum(total, 1)[:, None]))


def _tag_part(
    store: Store, partial: Path, lengths: np.ndarray, vectors: np.ndarray, tag_dim: int, seed: int
) -> np.ndarray:
    """The word-tag profile reduced to ``tag_dim`` numbers a word, scaled to the spread of the skip-gram vectors.
    Counted on videos outside the labelled pairs only, as the original does."""
    from sklearn.decomposition import TruncatedSVD

    indptr, indices, known = store.tags_csr()
    rows = store.rows("pointwise") if "pointwise" in set(store.parts) else store.rows()
    offsets = np.concatenate([[0], lengths.cumsum()])
    tokens = np.fromfile(partial / "tokens.i32", dtype="<i4")
    shape = len(vectors), len(store.manifest["tags"] or ())
    profile = word_tags(tokens, offsets, indptr, indices, rows[known[rows]], shape)
    size = min(tag_dim, min(shape) - 1)
    reduced = TruncatedSVD(size, random_state=seed).fit_transform(profile)
    result = np.zeros((len(vectors), tag_dim), np.float32)
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
            yield [word for word in line.rstrip("\n").split(SEPARATOR) if word]
