"""What is known of the code that made a run, and what is not."""

import subprocess

import pytest

from lib.runs import machine


@pytest.mark.parametrize(
    ("where", "known", "changed", "expected"),
    [("project", True, False, False), ("project", True, True, True), ("nowhere", False, False, None), ("above", False, True, None)],
)  # fmt: skip
def test_changes_are_claimed_only_of_a_repository_of_our_own(tmp_path, monkeypatch, where, known, changed, expected):
    project = tmp_path / "project"
    project.mkdir()
    monkeypatch.setattr(machine, "PROJECT", project)
    if where != "nowhere":
        top = project if where == "project" else tmp_path
        git = ["git", "-C", str(top), "-c", "user.name=a", "-c", "user.email=a"]
        for words in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "first"]):
            subprocess.run([*git, *words], check=True)
    if changed:
        (project / "a").write_text("a")
    found = machine.collect()
    assert found["dirty"] is expected and (found["commit"] != "unknown") == known
