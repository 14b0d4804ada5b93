"""Frames that a small model can use: standardised and projected on their principal components, each of unit variance.
What tells videos apart is a small part of the variance of raw features, which costs a small model a tenth of its run.
"""

from pathlib import Path

import numpy as np

from lib.data.store import Store
from lib.features.sets import FrameSet, building, is_made

FITTED = 20_000  # frames that mean, spread and components are taken from
BLOCK = 2048  # videos projected at a time: bounds memory


def build(store: Store, folder: Path, digest: str, *, dim: int, seed: int = 0) -> FrameSet:
    """Project every frame of a corpus; atomic, in constant memory.

    Mean, spread and components [dim, D] are of frames of videos outside the test parts, drawn at random, and lie beside
    the frames (``projection.npz``). A component's largest weight is positive. A corpus with fewer frames or numbers
    than ``dim`` gets fewer components, padded with zeros. ``digest``: what the set depends on; an existing set with the
    same digest is returned as it is.
    """
    if is_made(folder, digest):
        return FrameSet(folder)
    with building(folder, store, digest) as (partial, facts):
        mean, scale, components = fit(_some(store, seed), dim)
        np.savez(partial / "projection.npz", mean=mean, scale=scale, components=components)
        with (partial / "frames.f16").open("wb") as file:
            for start in range(0, len(store), BLOCK):
                rows = range(start, min(len(store), start + BLOCK))
                frames = np.concatenate([store.frames(row) for row in rows]).astype(np.float32)
                file.write((((frames - mean) / scale) @ components.T).astype("<f2").tobytes())
        np.save(partial / "offsets.npy", np.concatenate([[0], np.cumsum(store.n_frames, dtype=np.int64)]))
        facts |= {"frame_dim": dim, "rejected": 0, "frames": int(store.n_frames.sum())}
    return FrameSet(folder)


def fit(frames: np.ndarray, dim: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean [D], spread [D] and whitening components [dim, D], float32, of frames [n, D].

    >>> mean, scale, components = fit(np.array([[0.0, 1], [2, 1], [0, 5], [2, 5]]), 1)
    >>> mean.tolist(), scale.tolist(), components.round(3).tolist()
    ([1.0, 3.0], [1.0, 2.0], [[1.0, 0.0]])
    """
    mean, spread = frames.mean(axis=0, dtype=np.float64), frames.std(axis=0, dtype=np.float64)
    spread[spread < 1e-6] = 1.0  # a number that is the same in every frame becomes 0
    scaled = ((frames - mean) / spread).astype(np.float32)
    variance, vectors = np.linalg.eigh((scaled.T @ scaled).astype(np.float64) / len(scaled))
    kept = np.arange(len(variance))[::-1][:dim]
    kept = kept[variance[kept] > 1e-6 * max(variance.max(initial=0.0), 1e-12)]
    found = vectors[:, kept].T
    largest = np.abs(found).argmax(axis=1)
    found *= np.sign(found[np.arange(len(found)), largest])[:, None] / np.sqrt(variance[kept])[:, None]
    components = np.zeros((dim, frames.shape[1]))
    components[: len(found)] = found
    return mean.astype(np.float32), spread.astype(np.float32), components.astype(np.float32)


def _some(store: Store, seed: int) -> np.ndarray:
    """Up to ``FITTED`` frames [n, D] of whole videos outside the test parts, drawn at random."""
    parts = [part for part in store.parts if not part.startswith("test")]
    rows = np.random.default_rng(seed).permutation(store.rows(*parts))
    enough = np.searchsorted(np.cumsum(store.n_frames[rows]), FITTED) + 1
    return np.concatenate([store.frames(row) for row in np.sort(rows[:enough])]).astype(np.float32)
