from __future__ import annotations

import pytest

from lab.flow.forkserver import available, warm
from tests.flow.toy import QUICK, Toy


@pytest.fixture(scope="session")
def warm_process():
    """A small fork server for all tests of a worker; without one (macOS, a visible GPU) they run plainly, just slower."""
    with warm(QUICK):
        yield available()


@pytest.fixture
def toy(tmp_path, monkeypatch, warm_process) -> Toy:
    monkeypatch.setenv("VIDLAB_HOME", str(tmp_path))
    return Toy(tmp_path)
