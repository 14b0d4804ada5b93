"""A job of two processes on a machine without a GPU, launched as a notebook launches it: they share one run."""

import multiprocessing
import subprocess

import psutil
import pytest

from lib.recipes import job as jobs
from lib.recipes.job import Job
from lib.runs.files import read_json
from lib.stages.run import _leave_with, launch
from tests.stages.conftest import prepare


@pytest.fixture
def job(tmp_path, monkeypatch) -> Job:
    monkeypatch.setenv("VIDLAB_HOME", str(tmp_path))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.delenv("ACCELERATE_USE_CPU", raising=False)
    jobs._load.cache_clear()
    one = Job.load("wechat_baseline", "finetune", "base", 0, "smoke")
    prepare((one.recipe, one.stage, one.arm))
    yield one
    jobs._load.cache_clear()


def test_two_processes_train_one_run(job):
    """Each would train the whole job into the one folder if they did not know of each other."""
    folder = launch(job, processes=2)
    assert read_json(folder.provenance)["processes"] == 2
    rows = folder.history.rows()
    steps = [row["step"] for row in rows if "loss" in row]
    assert steps == sorted(set(steps)) and steps[-1] == folder.read_metrics(job.digest)["steps"], "written once"
    assert folder.predictions.exists() and folder.weights.exists()


def test_those_that_train_leave_with_the_one_that_launched_them():
    """Also where nobody takes note of its end, and it stays a zombie."""
    with subprocess.Popen(["sleep", "60"]) as launcher:
        child = multiprocessing.get_context("fork").Process(target=_leave_with, args=(psutil.Process(launcher.pid),))
        child.start()
        child.join(1)
        assert child.is_alive()
        launcher.kill()
        child.join(10)
        assert child.exitcode == 130 and psutil.Process(launcher.pid).status() == psutil.STATUS_ZOMBIE
