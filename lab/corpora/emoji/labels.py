"""How alike two emoji are to people who wrote keywords in other languages, and which pairs are labelled with it."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix

from lab.corpora.emoji.items import Emoji
from lab.corpora.twin.random import facts

PAIRS = {"pairwise": 6_000, "test_b": 20_000}  # at most; a small corpus has fewer
# Overlaps that count as much in common, as little, and, below, as nothing: a rare word of one language in twenty-four.
MUCH, LITTLE = 0.01, 0.004
SHARES = (0.50, 0.14)  # of the pairs with much and with little in common, where there are enough of them
NEAR = 6  # pairs of one fold are drawn so many times as often, so that each fold alone has pairs enough to validate on
CAP = 0.05  # most that the pairs inside one subgroup (country flags) may have of those with as much in common


def overlap(emoji: Sequence[Emoji], languages: Sequence[str]) -> np.ndarray:
    """float64 [n, n]: Jaccard overlap of the words of all keywords, each word weighted by its idf, log(n / emoji with
    it). ``languages``: whose keywords count; a word counts once per language. The title's own is left out by the
    caller."""
    bags = [
        {(name, word) for name in languages for keyword in one.keywords[name] for word in keyword.lower().split()}
        for one in emoji
    ]
    vocabulary = {word: number for number, word in enumerate(sorted({word for bag in bags for word in bag}))}
    rows = np.repeat(np.arange(len(bags)), [len(bag) for bag in bags])
    columns = np.array([vocabulary[word] for bag in bags for word in sorted(bag)], np.int64)
    has = csr_matrix((np.ones(len(rows)), (rows, columns)), (len(bags), len(vocabulary)))
    idf = np.log(len(bags) / np.bincount(columns, minlength=len(vocabulary)))
    common = (has.multiply(idf) @ has.T).toarray()
    own = np.diag(common)
    union = own[:, None] + own - common
    return np.divide(common, union, out=np.zeros_like(common), where=union > 0)


def choose(
    emoji: Sequence[Emoji], similarity: np.ndarray, part: str, wanted: int, rng: np.random.Generator
) -> np.ndarray:
    """int64 [P, 2]: rows of different pairs of a part, id1 < id2 in the emoji's order, shuffled. Much in common, little
    and nothing have fixed shares; where a kind runs out, the next lower one fills up."""
    rows = np.flatnonzero([one.part == part for one in emoji])
    i, j = (rows[index] for index in np.triu_indices(len(rows), 1))
    fold = np.array([one.fold for one in emoji])
    subgroup = np.array([one.subgroup for one in emoji])
    inside = np.where(subgroup[i] == subgroup[j], subgroup[i], -1)
    kind = np.digitize(similarity[i, j], (LITTLE, MUCH))
    order = np.argsort(rng.exponential(size=len(i)) / np.where(fold[i] == fold[j], NEAR, 1))
    taken: list[np.ndarray] = []
    quotas = (round(wanted * SHARES[0]), round(wanted * sum(SHARES)), wanted)
    for level, until in zip((2, 1, 0), quotas, strict=True):
        among = order[kind[order] == level]
        quota = until - sum(map(len, taken))
        turn = pd.Series(inside[among]).groupby(inside[among]).cumcount().to_numpy()
        taken.append(among[(inside[among] < 0) | (turn < max(1, CAP * quota))][:quota])
    found = rng.permutation(np.concatenate(taken))
    return np.stack([i[found], j[found]], axis=1)


class Levels:
    """Overlaps as scores of 21 levels, whose shares among the training pairs are those of the competition. Nothing in
    common is 0.00. The same map serves every other part, and equal overlaps have equal scores."""

    def __init__(self, overlaps: np.ndarray):
        """``overlaps`` of the training pairs."""
        counts = np.array(facts("aiac2021")["score_counts"][1:], float)
        some = overlaps[overlaps >= LITTLE]
        edges = np.cumsum(counts)[:-1] / counts.sum()
        self._edges = np.quantile(some, edges) if len(some) else edges

    def __call__(self, overlaps: np.ndarray) -> np.ndarray:
        """float64 [P]: 0.00, 0.05, ..., 1.00."""
        level = 1 + np.searchsorted(self._edges, overlaps, side="right")
        return np.where(overlaps >= LITTLE, level, 0) / 20
