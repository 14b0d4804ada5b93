"""Checkpoints: the newest complete one, parts that are linked, nothing else touched."""

import os
from pathlib import Path

import torch

from lib.training.checkpoint import Checkpointer
from lib.training.state import Best


def test_newest_replaces_older_and_unchanged_parts_are_kept(tmp_path):
    (tmp_path / "digest.json").write_text("{}")  # the run folder's own, not a checkpoint
    checkpoint = Checkpointer(tmp_path)
    assert checkpoint.step() is None
    checkpoint.save(5, {"live": {"step": 5}, "best": torch.arange(3)})
    inode = (tmp_path / "checkpoint-5" / "best.pt").stat().st_ino
    checkpoint.save(10, {"live": {"step": 10}}, unchanged=["best", "snapshot"])
    assert checkpoint.step() == 10 and checkpoint.load("live") == {"step": 10}
    assert torch.equal(checkpoint.load("best"), torch.arange(3)) and checkpoint.load("absent") is None
    assert (tmp_path / "checkpoint-10" / "best.pt").stat().st_ino == inode, "linked, not copied"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-10", "digest.json"]


def test_a_half_written_one_is_ignored(tmp_path):
    checkpoint = Checkpointer(tmp_path)
    checkpoint.save(5, {"live": 5})
    partial = tmp_path / ".partial-10"
    partial.mkdir()
    (partial / "live.pt").write_bytes(b"half")
    assert checkpoint.step() == 5 and checkpoint.load("live") == 5
    checkpoint.save(10, {"live": 10})
    assert checkpoint.load("live") == 10 and not partial.exists()


def test_the_content_reaches_the_disk_before_the_name(tmp_path, monkeypatch):
    """Else a crash of the machine could leave a checkpoint that looks whole and is not."""
    events, rename = [], os.replace

    def renamed(source, target):
        events.append("renamed")
        rename(source, target)

    monkeypatch.setattr(os, "fsync", lambda handle: events.append(Path(os.readlink(f"/proc/self/fd/{handle}")).name))
    monkeypatch.setattr(os, "replace", renamed)
    Checkpointer(tmp_path / "state").save(5, {"live": 5, "best": torch.arange(3)})
    assert sorted(events[:2]) == ["best.pt", "live.pt"] and events[2:] == [".partial-5", "renamed", "state"]


def test_other_processes_only_read(tmp_path):
    Checkpointer(tmp_path).save(5, {"live": 5})
    reader = Checkpointer(tmp_path, writes=False)
    reader.save(10, {"live": 10})
    assert reader.step() == 5 and reader.load("live") == 5


def test_the_best_few_and_their_mean():
    """Ties go to the later step; a worse one never enters; without a limit above one it is the best alone."""
    few, one = Best(True, True, 3), Best(True, True)
    for step, score in enumerate([0.1, 0.5, 0.3, 0.5, 0.2, 0.4, float("nan")], 1):
        for best in (few, one):
            best.offer(step, score, lambda step=step: {"w": torch.tensor(float(step)), "n": torch.tensor(step)})
    assert list(few.kept) == [4, 2, 6] and (few.step, few.score) == (4, 0.5)
    assert few.weights["w"] == 4.0 and few.weights["n"] == 4 and one.weights["w"] == 4.0 and list(one.kept) == [4]
    low = Best(False, True, 2)
    for step, score in enumerate([3.0, 1.0, 2.0], 1):
        low.offer(step, score, lambda step=step: {"w": torch.tensor(float(step))})
    assert list(low.kept) == [2, 3] and low.weights["w"] == 2.5
    assert Best(True, False).weights is None and Best(True, True).score is None
