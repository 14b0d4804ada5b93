import pytest

from tests.flow.toy import Toy


@pytest.fixture
def toy(tmp_path, monkeypatch) -> Toy:
    monkeypatch.setenv("VIDLAB_HOME", str(tmp_path))
    return Toy(tmp_path)
