"""Run folders: atomic files, digests, what is missing, cut or edited, resumable state, history."""

import json
import os
import threading
from pathlib import Path

import numpy as np
import pytest

from lib.runs.files import DamagedFile, new_folder, read_json, write_atomically, write_json, write_text
from lib.runs.folder import History, MissingRun, RunFolder


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    file = write_json(tmp_path / "a.json", {"x": 1})

    def broken(temporary):
        temporary.write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_atomically(file, broken)
    assert json.loads(file.read_text()) == {"x": 1}
    assert list(tmp_path.iterdir()) == [file]


def test_a_new_folder_is_there_whole_or_not_at_all(tmp_path, monkeypatch):
    """What a Mac leaves in a folder that was looked at does not make it a full one; the folder that one stands in is one too."""
    out = tmp_path / "out"
    with pytest.raises(OSError, match="disk full"), new_folder(out) as folder:
        (folder / "half").write_text("x")
        raise OSError("disk full")
    assert not list(tmp_path.iterdir())
    out.mkdir()
    (out / ".DS_Store").touch()
    monkeypatch.chdir(out)
    with new_folder(Path(".")) as folder:
        (folder / "whole").write_text("x")
    assert [file.name for file in out.iterdir()] == ["whole"] and [*tmp_path.iterdir()] == [out]
    for taken in (out, out / "whole"):
        with pytest.raises(FileExistsError, match="something already"), new_folder(taken):
            pass
    assert (out / "whole").read_text() == "x"


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


@pytest.mark.parametrize("content", ["null", "[]", "3", '"text"', "{}"])
@pytest.mark.parametrize("name", ["metrics.json", "files.json"])
def test_json_of_another_kind_makes_a_run_unfinished(tmp_path, name, content):
    run = RunFolder(tmp_path)
    run.begin("d1")
    run.finish({"digest": "d1", "scores": {}})
    (tmp_path / name).write_text(content)
    assert not run.is_done("d1")
    with pytest.raises((DamagedFile, MissingRun)):
        run.read_metrics()


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


@pytest.fixture
def finished(tmp_path) -> RunFolder:
    run = RunFolder(tmp_path / "run")
    run.begin("d1")
    run.history.append({"step": 1, "loss": 2.0})
    write_text(run.weights, "weights")
    write_text(run.objective_weights, "heads")
    run.write_arrays(run.embeddings, vectors=np.eye(2))
    write_json(run.provenance, {"commit": "abc"})
    run.finish({"digest": "d1", "scores": {"spearman": 0.5}})
    return run


def test_a_run_is_done_only_while_every_file_is_there(finished):
    names = sorted(path.name for path in finished.path.iterdir())
    assert len(names) == 7 and finished.is_done("d1")
    for name in names:
        content = (finished.path / name).read_bytes()
        (finished.path / name).unlink()
        assert not finished.is_done("d1"), name
        (finished.path / name).write_bytes(content[:-2])
        assert not finished.is_done("d1"), name
        (finished.path / name).write_bytes(content)
    (finished.path / "notebook.ipynb").write_text("written later, and none of the run's results")
    assert finished.is_done("d1")


def test_edited_scores_are_noticed(finished):
    assert finished.read_metrics("d1")["scores"] == {"spearman": 0.5}
    write_json(finished.metrics, {"digest": "d1", "scores": {"spearman": 0.9}})
    assert not finished.is_done("d1")
    with pytest.raises(DamagedFile, match="run/metrics.json: not what the run wrote .*remove the folder .*run again"):
        finished.read_metrics("d1")


def test_a_flipped_byte_is_noticed_when_a_file_is_opened(finished):
    assert finished.read_arrays(finished.embeddings)["vectors"].tolist() == [[1, 0], [0, 1]]
    assert finished.checked(finished.weights) == finished.weights
    for path in (finished.embeddings, finished.weights):
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
        with pytest.raises(DamagedFile, match=f"{path.name}: not what the run wrote"):
            finished.checked(path)
    with pytest.raises(DamagedFile, match="embeddings.npz"):
        finished.read_arrays(finished.embeddings)
    with pytest.raises(MissingRun, match="predictions.npz: the run did not leave this file"):
        finished.read_arrays(finished.predictions)


@pytest.mark.parametrize(
    ("content", "what"), [(b"", "the file is empty"), (b'{"a": ', "no JSON"), (b'{"\xff', "not text in UTF-8 .byte 2")]
)
def test_a_damaged_json_file_names_itself_and_the_way_out(finished, content, what):
    finished.files.write_bytes(content)
    assert not finished.is_done("d1")
    with pytest.raises(DamagedFile, match=f"files.json: {what}.*; remove it and run the command again"):
        read_json(finished.files)
    finished.state.mkdir()
    (finished.state / "digest.json").write_bytes(content)
    finished.begin("d1")  # what cannot be told to fit is not gone on from
    assert not finished.weights.exists()


def test_a_write_reaches_the_disk_before_its_name_does(tmp_path, monkeypatch):
    order = []
    sync, replace = os.fsync, os.replace

    def synced(handle):
        order.append(os.path.basename(os.readlink(f"/proc/self/fd/{handle}")))
        sync(handle)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", lambda a, b: (order.append("renamed"), replace(a, b)))
    write_json(tmp_path / "a.json", 1)
    assert order == [f".a.{os.getpid()}.json", "renamed", tmp_path.name]


def test_a_second_process_waits_for_the_first(tmp_path, capsys):
    order = []

    def second():
        with RunFolder(tmp_path / "run").alone():
            order.append("second")

    with RunFolder(tmp_path / "run").alone():
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(0.3)
        order.append("first")
    thread.join(5)
    assert order == ["first", "second"] and "another process trains this job" in capsys.readouterr().out


@pytest.mark.parametrize(
    "error", [OSError(28, "Error writing bytes"), RuntimeError("I/O error: No space left on device (os error 28)")]
)
def test_a_full_disk_names_the_file_and_leaves_the_old_one(tmp_path, error):
    file = write_text(tmp_path / "a.json", "old")

    def fail(path):
        path.write_text("half")
        raise error

    with pytest.raises(OSError, match=r"a.json: the disk is full; free some space and give the same command again"):
        write_atomically(file, fail)
    assert file.read_text() == "old" and [path.name for path in tmp_path.iterdir()] == ["a.json"]
