"""One job from corpus to run folder: files, determinism, a kill in the middle, missing inputs."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lab.validate import all_jobs
from lib.data.store import StoreError
from lib.recipes import job as jobs
from lib.recipes.job import Job
from lib.runs.folder import MissingRun
from lib.runs.paths import shown
from lib.stages.run import run
from tests.stages.conftest import prepare

STAGES = [
    ("aiac_rank1", "pretrain"),
    ("aiac_rank1", "finetune"),
    ("aiac_rank1", "distill"),
    ("wechat_baseline", "finetune"),
]


def job(recipe, stage, seed=0):
    return Job.load(recipe, stage, "base", seed, "smoke")


def fresh(monkeypatch, home: Path) -> None:
    monkeypatch.setenv("VIDLAB_HOME", str(home))
    jobs._load.cache_clear()


@pytest.fixture(scope="module", autouse=True)
def forget():
    """Jobs know their folders: those of this file must not be found by the next."""
    yield
    jobs._load.cache_clear()


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    patch = pytest.MonkeyPatch()
    fresh(patch, home)
    prepare(("aiac_rank1", "finetune", "base"), ("wechat_baseline", "finetune", "base"))
    yield home
    patch.undo()


def home_beside(prepared: Path, folder: Path) -> Path:
    """A home of its own that shares the corpora, the token sets and what is known of the code."""
    (folder / "runs" / "smoke").mkdir(parents=True)
    (prepared / "runs" / ".code").mkdir(exist_ok=True)
    for shared in ("data", "runs/smoke/features", "runs/.code"):
        (folder / shared).symlink_to(prepared / shared)
    return folder


@pytest.fixture
def home(prepared, tmp_path, monkeypatch):
    fresh(monkeypatch, home_beside(prepared, tmp_path))
    return tmp_path


@pytest.fixture(scope="module")
def trained(prepared, tmp_path_factory):
    """A home where every stage was trained once."""
    with pytest.MonkeyPatch.context() as patch:
        folder = home_beside(prepared, tmp_path_factory.mktemp("trained"))
        fresh(patch, folder)
        for recipe, stage in STAGES:
            run(job(recipe, stage))
    return folder


def test_every_stage_leaves_its_run_folder_and_is_the_same_twice(trained, prepared, tmp_path, monkeypatch):
    first = {}
    fresh(monkeypatch, trained)
    for recipe, stage in STAGES:
        folder = job(recipe, stage).folder
        names = {path.name for path in folder.path.iterdir()}
        assert {
            "job.yaml", "metrics.json", "files.json", "timing.json", "provenance.json", "history.jsonl",
            "model.safetensors", "objectives.safetensors",
        } <= names  # fmt: skip
        kept = "predictions.npz" if recipe == "wechat_baseline" else "embeddings.npz"
        assert kept in names and "state" not in names
        first[recipe, stage] = folder.metrics.read_bytes()
        stamp = folder.metrics.stat().st_mtime_ns
        run(job(recipe, stage))
        assert folder.metrics.stat().st_mtime_ns == stamp
    metrics = json.loads(first["aiac_rank1", "finetune"])
    assert metrics["oracle"]["spearman"] > 0.85 and -1 <= metrics["scores"]["validation"]["spearman"] <= 1
    fresh(monkeypatch, home_beside(prepared, tmp_path / "again"))
    assert {key: run(job(*key)).metrics.read_bytes() for key in first} == first


def train(home: str, recipe: str, stage: str) -> None:
    """What such a process does."""
    os.environ["VIDLAB_HOME"] = home
    run(job(recipe, stage))


@pytest.mark.parametrize("recipe, stage", STAGES)
def test_a_killed_run_goes_on_to_the_same_bytes(recipe, stage, trained, home, processes):
    """kill -9 in the middle of training; the rerun ends with metrics.json bit for bit as without the kill."""
    wanted = job(recipe, stage)
    shutil.copytree(trained / "runs/smoke/recipes", home / "runs/smoke/recipes")
    expected = wanted.folder.metrics.read_bytes()
    for path in (wanted.folder.metrics, wanted.folder.weights, wanted.folder.history.path):
        path.unlink()
    child = processes.Process(target=train, args=(str(home), recipe, stage))
    child.start()
    while child.is_alive() and not wanted.folder.history.path.exists():
        time.sleep(0.01)
    child.kill()
    child.join()
    assert child.exitcode == -signal.SIGKILL and not wanted.folder.metrics.exists()
    again = processes.Process(target=train, args=(str(home), recipe, stage))
    again.start()
    again.join()
    assert again.exitcode == 0 and wanted.folder.metrics.read_bytes() == expected


def test_the_command_line_trains_and_says_where(trained, home):
    """``python -m lib.stages.run`` trains what is missing and prints the run folder."""
    shutil.copytree(trained / "runs/smoke/recipes", home / "runs/smoke/recipes")
    wanted = job("aiac_rank1", "distill")
    expected = wanted.folder.metrics.read_bytes()
    wanted.folder.metrics.unlink()
    command = [sys.executable, "-m", "lib.stages.run", "aiac_rank1", "distill", "--scale", "smoke"]
    printed = subprocess.run(command, env=os.environ, check=True, capture_output=True, text=True).stdout
    assert printed.strip() == shown(wanted.folder.path) and wanted.folder.metrics.read_bytes() == expected


def test_a_missing_input_names_the_command_that_makes_it(tmp_path, monkeypatch, home):
    with pytest.raises(MissingRun, match="make run RECIPE=aiac_rank1 STAGE=pretrain ARM=base SEED=7 SCALE=smoke"):
        run(job("aiac_rank1", "finetune", seed=7))
    empty = tmp_path / "empty"
    fresh(monkeypatch, empty)
    with pytest.raises(MissingRun, match="vidlab corpus build twin_pairs --scale smoke"):
        run(job("aiac_rank1", "pretrain"))


@pytest.mark.parametrize("spoilt", ["frames.f16", "pairs.arrow", "tokens.i32"])
def test_a_damaged_input_stops_the_run_before_it_leaves_anything(prepared, tmp_path, monkeypatch, spoilt):
    """A byte that changed after it was written, the time of writing set back: one sentence with file and remedy."""
    shutil.copytree(prepared, tmp_path / "home", symlinks=True, ignore=shutil.ignore_patterns("recipes"))
    fresh(monkeypatch, tmp_path / "home")
    wanted = job("aiac_rank1", "pretrain")
    file = (wanted.tokens.folder if spoilt == "tokens.i32" else wanted.corpus.store) / spoilt
    times, data = file.stat(), bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    with pytest.raises((StoreError, ValueError), match=f"{spoilt} has changed since it was written") as stopped:
        run(wanted)
    assert "\n" not in str(stopped.value) and ("import" in str(stopped.value) or "build" in str(stopped.value))
    assert not wanted.folder.metrics.exists() and not wanted.folder.weights.exists()


def test_every_recipe_binds_under_every_arm():
    from lib.stages.build import check

    jobs = {one.digest: one for one in all_jobs(["smoke"])}
    assert len(jobs) > 20 and all(check(one) > 0 for one in jobs.values())
