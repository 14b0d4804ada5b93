"""Jobs of two processes on a machine without a GPU: they share one run, which is that of one process."""

import multiprocessing
import shutil
import subprocess
import sys

import numpy as np
import psutil
import pytest

from lib.recipes import job as jobs
from lib.recipes.job import Job
from lib.runs.files import read_json
from lib.runs.folder import RunFolder
from lib.runs.paths import PROJECT
from lib.stages.run import _leave_with, launch, run
from lib.training.trainer import Trainer
from tests.golden_rule import without_dropout
from tests.stages.conftest import prepare

NEEDED = [(recipe, stage, "base") for recipe in ("aiac_rank1", "wechat_rank72") for stage in ("pretrain", "finetune")]


def train() -> None:
    """All jobs, without dropout, whose draws are each process's own."""
    with pytest.MonkeyPatch.context() as patch:
        fit = Trainer.fit
        patch.setattr(Trainer, "fit", lambda self, *given: fit(self, *given) if without_dropout(self.task) else None)
        for needed in NEEDED:
            run(Job.load(*needed, 0, "smoke"), again=True)


@pytest.fixture(scope="module")
def homes(tmp_path_factory):
    """Where one process trained, and where two did."""
    one, two = tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("two")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"VIDLAB_HOME": str(two), "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(PROJECT)}.items():
            patch.setenv(name, value)
        patch.delenv("ACCELERATE_USE_CPU", raising=False)
        jobs._load.cache_clear()
        prepare(*NEEDED)
        train()
        shutil.copytree(two / "runs", one / "runs")
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", __name__]
        done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=PROJECT)
        assert done.returncode == 0, done.stderr[-3000:]
        yield one, two
    jobs._load.cache_clear()


@pytest.mark.parametrize("needed", NEEDED, ids="-".join)
def test_two_processes_train_the_run_of_one(homes, needed):
    folders = [RunFolder(home / Job.load(*needed, 0, "smoke").folder.path.relative_to(homes[1])) for home in homes]
    assert [read_json(folder.provenance)["processes"] for folder in folders] == [1, 2]
    rows = [[row for row in folder.history.rows() if "loss" in row] for folder in folders]
    for ours, theirs in zip(*rows, strict=True):
        assert ours["step"] == theirs["step"] and ours["loss"] == pytest.approx(theirs["loss"], rel=1e-6)
    for name in ("embeddings", "predictions"):
        files = [getattr(folder, name) for folder in folders]
        if files[0].exists():
            arrays = [np.load(file) for file in files]
            for key in (key for key in arrays[0].files if arrays[0][key].dtype.kind == "f"):
                np.testing.assert_allclose(arrays[1][key], arrays[0][key], rtol=0, atol=1e-5, err_msg=key)


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


if __name__ == "__main__":
    train()
