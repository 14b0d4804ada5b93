"""Paths as people read them and as a shell takes them."""

import shlex

import pytest

from lib.runs import paths


@pytest.mark.parametrize("name", ["mine", "my videos", "it's", "a;b", "$HOME", "-x", "视频"])
def test_a_path_in_a_command_can_be_typed_where_the_user_stands(tmp_path, monkeypatch, name):
    monkeypatch.setenv("VIDLAB_HOME", str(tmp_path))
    folder = tmp_path / "runs" / name
    folder.mkdir(parents=True)
    for here, expected in ((tmp_path, f"runs/{name}"), (folder, str(folder))):
        monkeypatch.chdir(here)
        assert shlex.split(paths.typed(folder)) == [expected] and paths.shown(folder) == f"runs/{name}"
