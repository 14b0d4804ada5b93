"""Splits of labelled pairs and labelled videos; each can be asked how much of its validation part touches training."""

from __future__ import annotations

import zlib

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from sklearn.model_selection import StratifiedKFold

Masks = tuple[np.ndarray, np.ndarray]  # training, validation: bool, one per item


def residue(ids: np.ndarray, k: int) -> np.ndarray:
    """id mod k. Ids of up to 20 digits are exact; an id that is no number counts by its checksum."""
    return np.array([int(name) % k if str(name).isdigit() else zlib.crc32(str(name).encode()) % k for name in ids])


def both_mod_k(id1: np.ndarray, id2: np.ndarray, *, k: int = 5, fold: int = 0) -> Masks:
    """The published split (AIAC rank 1): validation if both ids are ``fold`` mod ``k``, training is the rest.

    It leaks: a pair with one such id trains, so most validation videos are seen in training (quirk A7-7).
    """
    val = (residue(id1, k) == fold) & (residue(id2, k) == fold)
    return ~val, val


def strict_mod_k(id1: np.ndarray, id2: np.ndarray, *, k: int = 5, fold: int = 0) -> Masks:
    """The same validation pairs; pairs with exactly one such id are dropped, so that no video is on both sides."""
    first, second = residue(id1, k) == fold, residue(id2, k) == fold
    return ~first & ~second, first & second


def components(id1: np.ndarray, id2: np.ndarray, *, k: int = 5, fold: int = 0) -> Masks:
    """Whole connected components of the pair graph: about 1/k of the pairs validate and share no video with training.

    Components are dealt out largest first, each to the fold with the fewest pairs so far; the giant component of the real
    corpus (63 % of the pairs) therefore fills one fold, and ``fold`` counts from the smallest.
    """
    names, flat = np.unique(np.concatenate([id1, id2]).astype(str), return_inverse=True)
    left, right = flat[: len(id1)], flat[len(id1) :]
    graph = coo_matrix((np.ones(len(left)), (left, right)), shape=(len(names), len(names)))
    owner = connected_components(graph, directed=False)[1][left]
    sizes = np.bincount(owner)
    load, home = np.zeros(k, np.int64), np.zeros(len(sizes), np.int64)
    for component in np.argsort(-sizes, kind="stable"):
        home[component] = load.argmin()
        load[home[component]] += sizes[component]
    val = home[owner] == np.argsort(load, kind="stable")[fold]
    return ~val, val


def random_split(labels: np.ndarray, *, fraction: float = 0.1, seed: int = 2022, fold: int = 0) -> Masks:
    """A random share of the videos validates (the official baseline: 10 %, seed 2022)."""
    order = np.random.default_rng(seed).permutation(len(labels))
    size = max(1, round(len(labels) * fraction))
    val = np.zeros(len(labels), bool)
    val[order[fold * size : (fold + 1) * size]] = True
    return ~val, val


def holdout(labels: np.ndarray, *, fraction: float = 0.1, seed: int = 2022, fold: int = 0) -> Masks:
    """One fold of a stratified, shuffled k-fold with k = 1 / fraction; classes rarer than k are spread as far as they go."""
    import warnings

    folds = StratifiedKFold(round(1 / fraction), shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The least populated class")
        train, held = list(folds.split(np.zeros(len(labels)), labels))[fold]
    val = np.zeros(len(labels), bool)
    val[held] = True
    return ~val, val


def leak(id1: np.ndarray, id2: np.ndarray, train: np.ndarray, val: np.ndarray) -> float:
    """Share of validation pairs that contain a video which also occurs in a training pair."""
    seen = set(id1[train]) | set(id2[train])
    return float(np.mean([a in seen or b in seen for a, b in zip(id1[val], id2[val], strict=True)])) if val.any() else 0.0
