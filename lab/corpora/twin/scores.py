"""Labels as people would give them: similarity scores of pairs, noisy classes of videos."""

from __future__ import annotations

import numpy as np

from lab.corpora.twin.random import pick, pick_in_row, uniform, uniforms
from lab.corpora.twin.world import World

# Twenty cut-points on the affinity per kind of pair, estimated on 16 independent worlds so that the 21 levels get the real
# shares. Frozen, so that a score depends on the two videos and its noise alone, never on the rest of the corpus.
ASKED = np.array([0.1981, 0.2399, 0.2681, 0.2897, 0.3068, 0.3223, 0.3359, 0.3512, 0.3653, 0.3785])
ASKED = np.concatenate([ASKED, [0.4125, 0.4349, 0.4582, 0.4807, 0.5026, 0.5215, 0.5392, 0.5583, 0.5771, 0.596]])
STARS = np.array([0.2214, 0.2423, 0.2625, 0.2836, 0.2897, 0.292, 0.3008, 0.3231, 0.347, 0.3647])
STARS = np.concatenate([STARS, [0.4641, 0.4943, 0.5348, 0.5755, 0.5897, 0.5947, 0.6056, 0.6404, 0.6822, 0.7277]])
NOISE, MIDDLE, WIDTH, FLOOR, LAPSE = 0.073, 0.42, 0.10, 0.25, 0.006
WRONG_CLASS, WRONG_SIBLING = 0.085, 0.5  # annotators' category of a pair video differs from the true one
LABEL_NOISE, SIBLING = 0.15, 0.75  # the same for the class corpus, and how often it is a sibling


def annotate(affinity: np.ndarray, asked: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One human score per pair, a multiple of 0.05: people agree on unrelated and identical videos and differ in between.

    Args:
        affinity: float [P].
        asked: bool [P]; pairs of a query and its candidates were graded on a finer scale than the others.
    """
    p = 1 / (1 + np.exp(-(affinity - MIDDLE) / WIDTH))
    felt = affinity + NOISE * (FLOOR + (1 - FLOOR) * 4 * p * (1 - p)) * rng.standard_normal(len(affinity))
    lapse = rng.random(len(affinity)) < LAPSE
    felt[lapse] = rng.permutation(affinity)[: lapse.sum()]
    level = [np.searchsorted(cuts, felt, side="right") for cuts in (STARS, ASKED)]
    return np.where(asked, level[1], level[0]) / 20


class Annotators:
    """Categories of the pair corpus as people chose them."""

    def __init__(self, world: World):
        self.world = world
        same = world.level1[:, None] == world.level1
        weight = np.where(same, world.p_class, 0.0)
        self._sibling = np.cumsum(weight / weight.sum(1, keepdims=True), axis=1)

    def classes(self, rows: np.ndarray) -> np.ndarray:
        """Class index per row: the true one, or a sibling, or any other."""
        world = self.world
        true, u = world.cls[rows], uniforms(world.seed, "observed class", rows, 3)
        sibling = pick_in_row(u[:, 2], self._sibling, true)
        other = np.where(u[:, 1] < WRONG_SIBLING, sibling, pick(u[:, 2], world.p_class))
        return np.where(u[:, 0] < WRONG_CLASS, other, true)


def confusion(frequency: np.ndarray, level1: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """Row-stochastic [C, C], true class -> label: a similar class, mostly a sibling and rather a frequent one.

    Args:
        direction: unit vectors [C, D]; similar classes point alike.
    """
    weight = np.sqrt(frequency)[None] * np.exp(4 * direction @ direction.T)
    np.fill_diagonal(weight, 0)
    same = level1[:, None] == level1

    def rows(m: np.ndarray) -> np.ndarray:
        return m / np.maximum(m.sum(1, keepdims=True), 1e-12)

    wrong = SIBLING * rows(weight * same) + (1 - SIBLING) * rows(weight * ~same)
    return (1 - LABEL_NOISE) * np.eye(len(frequency)) + LABEL_NOISE * rows(wrong)


def true_prior(matrix: np.ndarray, frequency: np.ndarray, rounds: int = 200) -> np.ndarray:
    """Class prior whose noisy labels have the published frequencies (Richardson 1972, Lucy 1974)."""
    prior = frequency.copy()
    for _ in range(rounds):
        prior *= matrix @ (frequency / (prior @ matrix))
        prior /= prior.sum()
    return prior


def noisy_labels(world: World, matrix: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Class index per row of the class corpus, through the confusion matrix."""
    return pick_in_row(uniform(world.seed, "label", rows), np.cumsum(matrix, axis=1), world.cls[rows])


def mean_f1(truth: np.ndarray, answer: np.ndarray, level1: np.ndarray) -> float:
    """The WeChat 2022 score of answers: mean of micro and macro F1 over both levels, classes that occur on either side."""
    total = 0.0
    for a, b in ((truth, answer), (level1[truth], level1[answer])):
        size = int(max(a.max(), b.max())) + 1
        both = np.bincount(a, minlength=size) + np.bincount(b, minlength=size)
        hit = np.bincount(a[a == b], minlength=size)
        total += float((a == b).mean()) + float((2 * hit[both > 0] / both[both > 0]).mean())
    return total / 4
