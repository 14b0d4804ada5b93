"""Small twins on disk and medium ones in memory, made once."""

from pathlib import Path

import pytest
from threadpoolctl import threadpool_limits

from lab.corpora.twin import generate
from lab.corpora.twin.classes import ClassTwin
from lab.corpora.twin.pairs import PairTwin


@pytest.fixture(scope="session")
def pair_files(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("twin") / "pairs"
    generate(out, track="pairs", videos=300, seed=5, progress=False)
    return out


@pytest.fixture(scope="session")
def class_files(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("twin") / "classes"
    generate(out, track="classes", videos=60, seed=5, frames="both", progress=False)
    return out


@pytest.fixture(scope="session")
def pair_twin() -> PairTwin:
    """The size at which the targets hold."""
    with threadpool_limits(1):
        return PairTwin(20_000, seed=0, pairs=8_000)


@pytest.fixture(scope="session")
def class_twin() -> ClassTwin:
    with threadpool_limits(1):
        return ClassTwin(25_000, seed=0)
