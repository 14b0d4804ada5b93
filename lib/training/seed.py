"""Randomness: every stream is a pure function of a seed and names, so a step can be repeated without the steps before it."""

import hashlib
import random

import numpy as np
import torch


def seed_for(seed: int, *names: str | int) -> int:
    """A 63-bit seed of its own for each combination of names; the same on every machine and in every Python."""
    text = ":".join(map(str, (seed, *names)))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") >> 1


def generator_for(seed: int, *names: str | int) -> torch.Generator:
    """A CPU generator for one named purpose, e.g. ``generator_for(0, "corrupt", step)``."""
    return torch.Generator().manual_seed(seed_for(seed, *names))


def seed_everything(seed: int) -> None:
    """Seed the global streams of Python, numpy and torch (all devices); they decide about initial weights only."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def seed_step(seed: int, step: int, process: int) -> None:
    """Seed torch's global stream, which dropout draws from, for one step of one process. Nothing needs to be saved for
    a bit-exact resume, and how often a run is evaluated cannot change what it learns."""
    torch.manual_seed(seed_for(seed, "step", step, process))
