"""Run folders: atomic files, digests, resumable state, history."""

import json

import pytest

from lib.runs.files import write_atomically, write_json
from lib.runs.folder import MissingRun, RunFolder
from lib.runs.history import History


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    file = write_json(tmp_path / "a.json", {"x": 1})

    def broken(temporary):
        temporary.write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_atomically(file, broken)
    assert json.loads(file.read_text()) == {"x": 1}
    assert list(tmp_path.iterdir()) == [file]


def test_nan_is_not_written_as_if_it_were_json(tmp_path):
    with pytest.raises(ValueError):
        write_json(tmp_path / "a.json", {"score": float("nan")})


def test_finished_means_metrics_with_the_same_digest(tmp_path):
    run = RunFolder(tmp_path / "run")
    assert not run.is_done("d1")
    run.begin("d1")
    run.finish({"digest": "d1", "scores": {}})
    assert run.is_done("d1") and not run.is_done("d2") and not run.state.exists()
    with pytest.raises(MissingRun, match="made with other settings or code.*make run X"):
        run.read_metrics("d2", "Make it with: make run X")
    with pytest.raises(MissingRun, match="no finished run"):
        RunFolder(tmp_path / "other").read_metrics()


def test_begin_keeps_the_state_of_the_same_digest_only(tmp_path):
    run = RunFolder(tmp_path)
    run.begin("d1")
    (run.state / "step.pt").write_text("x")
    run.history.append({"step": 1, "loss": 2.0})
    run.begin("d1")
    assert (run.state / "step.pt").exists() and run.history.rows()
    run.begin("d2")
    assert not (run.state / "step.pt").exists() and not run.history.rows()


def test_history_is_cut_at_a_step_and_survives_a_half_line(tmp_path):
    history = History(tmp_path / "history.jsonl")
    for step in (1, 2, 3):
        history.append({"step": step, "loss": 1 / step, "terms": {"tags": step}})
    history.append({"step": 3, "scores": {"spearman": 0.5}})
    with history.path.open("a") as file:
        file.write('{"step": 4, "lo')
    assert [row["step"] for row in history.rows()] == [1, 2, 3, 3]
    history.truncate(2)
    assert history.frame("loss")["terms.tags"].tolist() == [1, 2]
    assert history.frame("scores").empty
