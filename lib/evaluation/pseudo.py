"""Which videos without a category get one, and which: rules that a stage names under ``pseudo`` (``lib.stages.pseudo``)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lib.evaluation.vectors import unit

BLOCK = 4096  # queries compared with all known videos at a time


class Said(NamedTuple):
    """What models say: of U videos without category, and, where a rule asks for vectors, of L with one."""

    probabilities: np.ndarray  # float32 [U, C], mean over the models
    vectors: np.ndarray | None = None  # float32 [U, E]
    known: np.ndarray | None = None  # float32 [L, E]
    labels: np.ndarray | None = None  # int64 [L]


class Given(NamedTuple):
    """What a rule gives: category int64 [U], -1 for none, and how sure it is, float32 [U]."""

    category: np.ndarray
    confidence: np.ndarray


def keep(category: np.ndarray, confidence: np.ndarray, kept: np.ndarray) -> Given:
    return Given(np.where(kept, category, -1), confidence.astype(np.float32))


@dataclass(kw_only=True)
class Confident:
    """The likeliest category of each video, where its probability reaches ``threshold``. 6th of the WeChat final (its
    threshold is a guess)."""

    threshold: float = 0.9

    def __call__(self, said: Said) -> Given:
        confidence = said.probabilities.max(axis=1)
        return keep(said.probabilities.argmax(axis=1), confidence, confidence >= self.threshold)


@dataclass(kw_only=True)
class EverySoft:
    """The likeliest category of every video, and all probabilities besides, to be learnt as they are. 1st of the WeChat final."""

    soft = True

    def __call__(self, said: Said) -> Given:
        return Given(said.probabilities.argmax(axis=1), said.probabilities.max(axis=1))


@dataclass(kw_only=True)
class FillRare:
    """For category c the clip(up_to - n_c, 0, cap) videos that are surest of it, from ``confidence`` up; n_c counts the
    labelled training videos. 5th of the WeChat final (U9: all three numbers are guesses)."""

    class_counts: Sequence[int]
    up_to: int = 1000
    cap: int = 1000
    confidence: float = 0.8

    def wanted(self) -> np.ndarray:
        """int64 [C]: how many videos each category asks for."""
        return np.clip(self.up_to - np.asarray(self.class_counts, np.int64), 0, self.cap)

    def __call__(self, said: Said) -> Given:
        category, confidence = said.probabilities.argmax(axis=1), said.probabilities.max(axis=1)
        kept = np.zeros(len(category), bool)
        for c, count in enumerate(self.wanted()):
            mine = np.flatnonzero((category == c) & (confidence >= self.confidence))
            kept[mine[np.argsort(-confidence[mine], kind="stable")[:count]]] = True
        return keep(category, confidence, kept)


@dataclass(kw_only=True)
class NeighbourVote:
    """The category that most of the nearest labelled videos have, by cosine; of equal votes that with the larger sum of
    cosines, then the smaller number. Confidence is the share of the votes. 2nd of the WeChat final (U5: tie rule and least
    confidence are guesses). Exact, by products of matrices in blocks."""

    needs_vectors = True
    neighbours: int = 10
    confidence: float = 0.6

    def __call__(self, said: Said) -> Given:
        assert said.vectors is not None and said.known is not None and said.labels is not None
        near, cosines = nearest(said.vectors, said.known, self.neighbours)
        labels = said.labels[near]  # [U, k]
        votes, sums = (np.zeros(said.probabilities.shape) for _ in range(2))
        row = np.arange(len(labels))[:, None]
        np.add.at(votes, (row, labels), 1.0)
        np.add.at(sums, (row, labels), cosines)
        best = np.isclose(votes, votes.max(axis=1, keepdims=True))
        category = np.where(best, sums, -np.inf).argmax(axis=1)  # argmax takes the first of equals
        share = votes[row[:, 0], category] / votes.sum(axis=1)
        return keep(category, share, share >= self.confidence - 1e-9)


def nearest(queries: np.ndarray, known: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Of each query the nearest known vectors by cosine, most alike first: positions int64 [U, k] and cosines [U, k]."""
    queries, known = unit(queries), unit(known)
    count, places, cosines = min(count, len(known)), [], []
    for start in range(0, len(queries), BLOCK):
        alike = queries[start : start + BLOCK] @ known.T
        top = np.sort(np.argpartition(-alike, count - 1, axis=1)[:, :count], axis=1)  # equals in their own order
        order = np.argsort(-np.take_along_axis(alike, top, axis=1), axis=1, kind="stable")
        places.append(np.take_along_axis(top, order, axis=1))
        cosines.append(np.take_along_axis(alike, places[-1], axis=1))
    return np.concatenate(places), np.concatenate(cosines)
