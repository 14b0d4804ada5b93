"""Random numbers of two kinds, published facts, and small samplers. ``stream`` is a generator for what is drawn once
(trees, tables, who pairs with whom). ``bits`` and its children are functions of (seed, name, row): whatever belongs to
one video can be computed for any videos, in any order and number, without keeping anything of the others. That is why a
corpus of any size needs almost no memory."""

import json
import zlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

DIM = 24  # of each latent block: x (what is told) and y (what is shown)
GOLDEN = np.uint64(0x9E3779B97F4A7C15)


@cache
def facts(contest: str) -> dict[str, Any]:
    """Published statistics of a real corpus (values of ``facts.json``; kind and source of each are beside it)."""
    return {name: entry["value"] for name, entry in _facts_file()[contest].items()}


@cache
def targets(contest: str) -> dict[str, dict[str, Any]]:
    """Statistic -> ``target``, ``low``, ``high``, ``source``: what a twin of about 20,000 videos is held against."""
    return _facts_file()[f"{contest} targets"]


@cache
def _facts_file() -> dict[str, Any]:
    return json.loads((Path(__file__).parent / "facts.json").read_text(encoding="utf-8"))


def stream(seed: int, *names: str | int) -> np.random.Generator:
    """An independent generator per name, so that no part of the corpus depends on the order in which others are drawn."""
    return np.random.default_rng([seed, *(zlib.crc32(str(name).encode()) for name in names)])


# ---- functions of (seed, name, row)


@cache
def _key(seed: int, name: str) -> np.uint64:
    return np.random.SeedSequence([seed, zlib.crc32(name.encode())]).generate_state(1, np.uint64)[0]


def _mix(z: np.ndarray) -> np.ndarray:
    """Finaliser of SplitMix64 (Steele, Lea, Flood 2014), in place."""
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        z ^= z >> np.uint64(shift)
        z *= np.uint64(factor)
    z ^= z >> np.uint64(31)
    return z


def bits(seed: int, name: str, rows: np.ndarray, width: int | np.ndarray) -> np.ndarray:
    """uint64 [n, width]: each row is the SplitMix64 sequence of its own start. ``rows``: non-negative integers [n].
    ``width``: how many per row; an array [n] gives each row its own number, and a flat result."""
    start = _mix(np.asarray(rows).astype(np.uint64) * GOLDEN + _key(seed, name))
    if isinstance(width, np.ndarray):
        return _mix(np.repeat(start, width) + (positions(width) + 1).astype(np.uint64) * GOLDEN)
    return _mix(start[:, None] + np.arange(1, width + 1, dtype=np.uint64) * GOLDEN)


def positions(counts: np.ndarray) -> np.ndarray:
    """0, 1, ... counts[0] - 1, 0, 1, ... counts[1] - 1, ..."""
    ends = np.cumsum(counts)
    return np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - counts, counts)


def uniforms(seed: int, name: str, rows: np.ndarray, width: int | np.ndarray) -> np.ndarray:
    """float64 in [0, 1), shaped like ``bits``."""
    return (bits(seed, name, rows, width) >> np.uint64(11)) * 2.0**-53


def uniform(seed: int, name: str, rows: np.ndarray) -> np.ndarray:
    """float64 [n] in [0, 1)."""
    return uniforms(seed, name, rows, 1)[:, 0]


def integers(seed: int, name: str, rows: np.ndarray, width: int | np.ndarray) -> np.ndarray:
    """int64 below 2^31, shaped like ``bits``; to be taken modulo something small."""
    return (bits(seed, name, rows, width) >> np.uint64(33)).astype(np.int64)


def normals(seed: int, name: str, rows: np.ndarray, width: int) -> np.ndarray:
    """float32 [n, width], standard normal (Box and Muller 1958: two from the halves of one word)."""
    word = bits(seed, name, rows, (width + 1) // 2)
    radius = np.sqrt(-2 * np.log(((word >> np.uint64(32)).astype(np.float32) + 1) * np.float32(2.0**-32)))
    angle = (word & np.uint64(0xFFFFFFFF)).astype(np.float32) * np.float32(2 * np.pi * 2.0**-32)
    return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)], axis=1)[:, :width]


def vectors(seed: int, name: str, ids: np.ndarray | int) -> np.ndarray:
    """float32 [n, DIM], entries N(0, 1 / DIM), so that norms are about 1. ``ids`` may be a number: the first so many."""
    return normals(seed, f"vector {name}", np.arange(ids) if isinstance(ids, int) else ids, DIM) / np.float32(DIM**0.5)


# ---- samplers: uniform numbers in, choices out


def pick(u: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Indices drawn with the given unnormalised weights."""
    edges = np.cumsum(weights)
    return np.minimum(np.searchsorted(edges, u * edges[-1], side="right"), len(edges) - 1)


def pick_in_row(u: np.ndarray, cumulative: np.ndarray, row: np.ndarray) -> np.ndarray:
    """Indices drawn from the distribution of each one's row; ``cumulative`` [R, K] ends in 1."""
    count, width = cumulative.shape
    edges = (cumulative + np.arange(count)[:, None]).ravel()
    return (np.searchsorted(edges, row + u, side="right") - row * width).clip(0, width - 1)


def choice(rng: np.random.Generator, weights: np.ndarray, n: int) -> np.ndarray:
    """n draws with replacement, int [n]; ``weights`` need not add up to one."""
    return pick(rng.random(n), weights)


def from_counts(u: np.ndarray, counts: Mapping[str, float]) -> np.ndarray:
    """Values drawn from a {value: weight} table."""
    return np.array([int(value) for value in counts])[pick(u, np.array(list(counts.values()), float))]


def from_bins(u: np.ndarray, histogram: dict[str, Any]) -> np.ndarray:
    """Integers drawn from a histogram with inclusive bins, even inside each bin."""
    low, high = np.array(histogram["bins_inclusive"]).T
    fractions = np.array(histogram["fractions"])
    edges = np.concatenate([[0], np.cumsum(fractions)])
    chosen = pick(u, fractions)
    inside = ((u * edges[-1] - edges[chosen]) / fractions[chosen]).clip(0, 1 - 1e-9)
    return low[chosen] + (inside * (high - low + 1)[chosen]).astype(int)


def unit(a: np.ndarray) -> np.ndarray:
    """Vectors [..., D] scaled to length one; zero stays zero."""
    return a / np.maximum(np.linalg.norm(a, axis=-1, keepdims=True), 1e-9)
