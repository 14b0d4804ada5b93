"""Labels as people would give them: similarity scores of pairs, noisy classes of videos."""

from __future__ import annotations

import numpy as np

from lib.data.twin.random import DIM, choice, stream, unit, vectors
from lib.data.twin.world import World

# Twenty cut-points on the affinity per kind of pair, estimated on independent worlds so that the 21 levels get the real shares.
CUTS = {
    True: (0.1981, 0.2399, 0.2681, 0.2897, 0.3068, 0.3223, 0.3359, 0.3512, 0.3653, 0.3785, 0.4125, 0.4349, 0.4582, 0.4807, 0.5026, 0.5215, 0.5392, 0.5583, 0.5771, 0.596),
    False: (0.2214, 0.2423, 0.2625, 0.2836, 0.2897, 0.292, 0.3008, 0.3231, 0.347, 0.3647, 0.4641, 0.4943, 0.5348, 0.5755, 0.5897, 0.5947, 0.6056, 0.6404, 0.6822, 0.7277),
}  # fmt: skip
NOISE, MIDDLE, WIDTH, FLOOR, LAPSE = 0.073, 0.42, 0.10, 0.25, 0.006
WRONG_CLASS = 0.085  # annotators' category of a pair video differs from the true one
LABEL_NOISE, SIBLING = 0.15, 0.75  # the same for the class corpus, and how often it is a sibling


def annotate(affinity: np.ndarray, asked: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One human score per pair, a multiple of 0.05: people agree on unrelated and identical videos and differ in between."""
    p = 1 / (1 + np.exp(-(affinity - MIDDLE) / WIDTH))
    felt = affinity + NOISE * (FLOOR + (1 - FLOOR) * 4 * p * (1 - p)) * rng.standard_normal(len(affinity))
    lapse = rng.random(len(affinity)) < LAPSE
    felt[lapse] = rng.permutation(affinity)[: lapse.sum()]
    level = np.where(asked, np.searchsorted(CUTS[True], felt, side="right"), np.searchsorted(CUTS[False], felt, side="right"))
    return level / 20


def observed_classes(world: World) -> np.ndarray:
    """Class index per video as annotated in the pair corpus."""
    rng = stream(world.seed, "observed class")
    wrong, sibling = rng.random(world.n) < WRONG_CLASS, rng.random(world.n) < 0.5
    seen = np.where(wrong, choice(rng, world.p_class, world.n), world.cls)
    same = world.level1[:, None] == world.level1
    for row in np.flatnonzero(wrong & sibling):
        members = np.flatnonzero(same[world.cls[row]])
        seen[row] = members[choice(rng, world.p_class[members], 1)[0]]
    return seen


def confusion(seed: int, frequency: np.ndarray, level1: np.ndarray, shares: tuple[float, ...]) -> np.ndarray:
    """Row-stochastic [C, C], true class -> label: a similar class, mostly a sibling and rather a frequent one."""
    direction = np.sqrt(shares[0]) * vectors(seed, "x level 1", level1.max() + 1)[level1] + np.sqrt(shares[1]) * vectors(seed, "x class", len(frequency))
    direction = unit(direction)
    weight = np.sqrt(frequency)[None] * np.exp(4 * direction @ direction.T)
    np.fill_diagonal(weight, 0)
    same = level1[:, None] == level1
    rows = lambda m: m / np.maximum(m.sum(1, keepdims=True), 1e-12)  # noqa: E731
    return (1 - LABEL_NOISE) * np.eye(len(frequency)) + LABEL_NOISE * (SIBLING * rows(weight * same) + (1 - SIBLING) * rows(weight * ~same))


def true_prior(matrix: np.ndarray, frequency: np.ndarray, rounds: int = 200) -> np.ndarray:
    """Class prior whose noisy labels have the published frequencies (Richardson-Lucy)."""
    prior = frequency.copy()
    for _ in range(rounds):
        prior *= matrix @ (frequency / (prior @ matrix))
        prior /= prior.sum()
    return prior


assert DIM == 24  # the cut-points hold for this width
