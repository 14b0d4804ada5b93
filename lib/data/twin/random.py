"""Keyed random streams and small samplers, shared by all parts of the generator."""

from __future__ import annotations

import json
import zlib
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

DIM = 24  # of each latent block: x (what is told) and y (what is shown)


def stream(seed: int, *names: str | int) -> np.random.Generator:
    """An independent stream per name, so that no part of the corpus depends on the order in which others are drawn."""
    return np.random.default_rng([seed, *(zlib.crc32(str(name).encode()) for name in names)])


@cache
def facts(contest: str) -> dict[str, Any]:
    """Published statistics of a real corpus (values of ``facts.json``; kind and source of each are beside it)."""
    tree = json.loads((Path(__file__).parent / "facts.json").read_text(encoding="utf-8"))[contest]
    return {name: entry["value"] for name, entry in tree.items()}


def choice(rng: np.random.Generator, weights: np.ndarray, n: int) -> np.ndarray:
    """n indices drawn with the given unnormalised weights."""
    edges = np.cumsum(weights)
    return np.minimum(np.searchsorted(edges, rng.random(n) * edges[-1], side="right"), len(edges) - 1)


def from_counts(rng: np.random.Generator, counts: dict[str, float], n: int) -> np.ndarray:
    """n values drawn from a {value: weight} table."""
    return np.array([int(value) for value in counts])[choice(rng, np.array(list(counts.values()), float), n)]


def from_bins(rng: np.random.Generator, histogram: dict[str, Any], n: int) -> np.ndarray:
    """n integers drawn from a histogram with inclusive bins, even inside each bin."""
    bins = np.array(histogram["bins_inclusive"])
    chosen = choice(rng, np.array(histogram["fractions"]), n)
    return bins[chosen, 0] + (rng.random(n) * (bins[chosen, 1] - bins[chosen, 0] + 1)).astype(int)


def vectors(seed: int, name: str, n: int) -> np.ndarray:
    """float32 [n, DIM], entries N(0, 1 / DIM): norms about 1."""
    return (stream(seed, "vector", name).standard_normal((n, DIM)) / np.sqrt(DIM)).astype(np.float32)


def unit(a: np.ndarray) -> np.ndarray:
    return a / np.maximum(np.linalg.norm(a, axis=-1, keepdims=True), 1e-9)
