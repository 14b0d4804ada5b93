"""One job from corpus to run folder: files, determinism, a kill in the middle, missing inputs."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lib.data.store import Store
from lib.features.tokens import build
from lib.recipes import job as jobs
from lib.recipes.job import Job
from lib.recipes.load import load
from lib.recipes.specs import FeatureSet
from lib.runs.folder import MissingRun
from lib.stages import corpus
from lib.stages.run import run
from lib.stages.validate import all_jobs

STAGES = [
    ("aiac_rank1", "pretrain"),
    ("aiac_rank1", "finetune"),
    ("aiac_rank1", "distill"),
    ("wechat_baseline", "finetune"),
]


def job(recipe, stage, seed=0):
    return Job.load(recipe, stage, "base", seed, "smoke")


def prepare(home: Path) -> None:
    """Both smoke corpora and their token sets below ``home``."""
    for recipe in ("aiac_rank1", "wechat_baseline"):
        one = job(recipe, "finetune")
        corpus.build(one.corpus.name, "smoke")
        build(
            Store.open(one.corpus.store),
            one.tokens.folder,
            load(FeatureSet, "tokens"),
            one.tokens.tokenizer,
            one.tokens.digest,
        )


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
    prepare(home)
    yield home
    patch.undo()


@pytest.fixture
def home(prepared, tmp_path, monkeypatch):
    """A home of its own that shares the corpora and token sets."""
    (tmp_path / "data").symlink_to(prepared / "data")
    (tmp_path / "runs" / "smoke").mkdir(parents=True)
    (tmp_path / "runs" / "smoke" / "features").symlink_to(prepared / "runs" / "smoke" / "features")
    fresh(monkeypatch, tmp_path)
    return tmp_path


def test_every_stage_leaves_its_run_folder_and_is_the_same_twice(home, prepared, monkeypatch):
    first = {}
    for recipe, stage in STAGES:
        folder = run(job(recipe, stage))
        names = {path.name for path in folder.path.iterdir()}
        assert {
            "job.yaml",
            "metrics.json",
            "timing.json",
            "provenance.json",
            "history.jsonl",
            "model.safetensors",
            "objectives.safetensors",
        } <= names
        assert (
            "predictions.npz" if recipe == "wechat_baseline" else "embeddings.npz"
        ) in names and "state" not in names
        first[recipe, stage] = folder.metrics.read_bytes()
        stamp = folder.metrics.stat().st_mtime_ns
        run(job(recipe, stage))
        assert folder.metrics.stat().st_mtime_ns == stamp
    metrics = json.loads(first["aiac_rank1", "finetune"])
    assert metrics["oracle"]["spearman"] > 0.85 and -1 <= metrics["scores"]["validation"]["spearman"] <= 1
    again = home / "again"
    again.mkdir()
    (again / "data").symlink_to(prepared / "data")
    (again / "runs" / "smoke").mkdir(parents=True)
    (again / "runs" / "smoke" / "features").symlink_to(prepared / "runs" / "smoke" / "features")
    fresh(monkeypatch, again)
    assert {key: run(job(*key)).metrics.read_bytes() for key in first} == first


@pytest.mark.parametrize("recipe, stage", STAGES)
def test_a_killed_run_goes_on_to_the_same_bytes(recipe, stage, home):
    """kill -9 in the middle of training; the rerun ends with metrics.json bit for bit as without the kill."""
    wanted = job(recipe, stage)
    for parent in wanted.parents.values():
        run(parent)
    expected = run(wanted).metrics.read_bytes()
    for path in (wanted.folder.metrics, wanted.folder.weights):
        path.unlink()
    command = [sys.executable, "-m", "lib.stages.run", recipe, stage, "--scale", "smoke"]
    wanted.folder.history.path.unlink()
    child = subprocess.Popen(command, env=os.environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while child.poll() is None and not wanted.folder.history.path.exists():
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert not wanted.folder.metrics.exists()
    subprocess.run(command, env=os.environ, check=True, capture_output=True)
    assert wanted.folder.metrics.read_bytes() == expected


def test_a_missing_input_names_the_command_that_makes_it(tmp_path, monkeypatch, home):
    with pytest.raises(MissingRun, match="make run RECIPE=aiac_rank1 STAGE=pretrain ARM=base SEED=7 SCALE=smoke"):
        run(job("aiac_rank1", "finetune", seed=7))
    empty = tmp_path / "empty"
    fresh(monkeypatch, empty)
    with pytest.raises(MissingRun, match="python -m lib.stages.corpus twin_pairs --scale smoke"):
        run(job("aiac_rank1", "pretrain"))


def test_every_recipe_binds_under_every_arm():
    from lib.stages.build import check

    jobs = {one.digest: one for one in all_jobs(["smoke"])}
    assert len(jobs) > 20 and all(check(one) > 0 for one in jobs.values())
