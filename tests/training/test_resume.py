"""A run killed at any step and resumed equals the uninterrupted one bit for bit."""

import os
import shutil
import signal
from functools import partial
from pathlib import Path

import pytest
import torch

from lib.training.adversarial import Awp, Fgm
from lib.training.averaging import WeightEma, WeightSwa
from lib.training.checkpoint import Checkpointer
from lib.training.divergence import Rewind
from lib.training.schedule import ConstantTail, Plateau
from tests.training.standin import Loader, error, trainer

STEPS = 30


class Killed(BaseException):
    pass


class Dying(Loader):
    """Breaks off while fetching batch number ``at``."""

    def __init__(self, at: int, **settings):
        super().__init__(**settings)
        self.at = at

    def __iter__(self):
        for batch in super().__iter__():
            if self.step == self.at:
                raise Killed
            yield batch


def everything() -> dict:
    """All that has a state, on: dropout, corruption, averages, best so far, rewinds, an adversary, a schedule that listens."""
    return {
        "score": error, "averaging": WeightEma(decay=0.8), "adversarial": Fgm(epsilon=0.1),
        "rewind": Rewind(window=4, patience=2, max_rewinds=5, snapshot_every=5), "schedule": Plateau(factor=0.5),
        "log_every": 4, "eval_every": 7, "mean_of": 2, "save_every": 5, "ahead": 2,
    }  # fmt: skip


def run(folder: Path, loader: Loader, **settings):
    ours = trainer(folder, steps=STEPS, **settings)
    result = ours.fit(loader, STEPS)
    state = {name: tensor.clone() for name, tensor in ours.task.state_dict().items()}
    outcome = result.best_step, result.best_score, result.steps, result.samples
    return state, (folder / "history.jsonl").read_text(), outcome


def check(first, second) -> None:
    assert first[1] == second[1]  # history, byte for byte
    assert first[2] == second[2]
    assert first[0].keys() == second[0].keys()
    assert all(torch.equal(first[0][name], second[0][name]) for name in first[0])


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    whole = run(tmp_path_factory.mktemp("whole"), Loader(poison=(12,)), **everything())
    assert '"event": "rewind"' in whole[1] and whole[1].count('"scores"') == 5
    return whole


@pytest.mark.parametrize("step", range(1, STEPS + 1))
def test_killed_at_any_step(tmp_path, uninterrupted, step):
    with pytest.raises(Killed):
        run(tmp_path, Dying(step, poison=(12,)), **everything())
    check(run(tmp_path, Loader(poison=(12,)), **everything()), uninterrupted)


def test_killed_again_and_again(tmp_path, uninterrupted):
    for step in (3, 9, 11, 17, 26, 29):
        with pytest.raises(Killed):
            run(tmp_path, Dying(step, poison=(12,)), **everything())
    check(run(tmp_path, Loader(poison=(12,)), **everything()), uninterrupted)


def test_resume_after_the_last_step(tmp_path, uninterrupted):
    """Killed between the end of training and what its caller writes."""
    run(tmp_path, Loader(poison=(12,)), **everything())
    check(run(tmp_path, Loader(poison=(12,)), **everything()), uninterrupted)


@pytest.mark.parametrize("moment", ["before the rename", "while the old one is removed"])
def test_killed_while_saving(tmp_path, uninterrupted, monkeypatch, moment):
    """The old checkpoint counts until the new one is complete, and then no longer."""
    rename, remove = os.replace, shutil.rmtree

    def dying_rename(source, target):
        if ".partial-10" in str(source):
            raise Killed
        rename(source, target)

    def dying_remove(path, **options):
        if "checkpoint-7" in str(path):
            (Path(path) / "live.pt").unlink()
            raise Killed
        remove(path, **options)

    if moment == "before the rename":
        monkeypatch.setattr(os, "replace", dying_rename)
    else:
        monkeypatch.setattr(shutil, "rmtree", dying_remove)
    with pytest.raises(Killed):
        run(tmp_path, Loader(poison=(12,)), **everything())
    monkeypatch.undo()
    assert Checkpointer(tmp_path / "state").step() == (7 if moment == "before the rename" else 10)
    check(run(tmp_path, Loader(poison=(12,)), **everything()), uninterrupted)


TAIL = {
    "averaging": partial(WeightSwa, start=0.3, every=2, buffers=True), "adversarial": Awp(epsilon=0.05), "score": error,
    "schedule": partial(ConstantTail, Plateau(), total_steps=STEPS, start=0.3, factor=0.2),
}  # fmt: skip
OTHERS = [
    {"averaging": WeightSwa},
    {"reload_best_each_epoch": True, "score": error},
    {"keep_best": False, "averaging": WeightEma},
    TAIL,
]


@pytest.mark.parametrize("settings", OTHERS)
def test_other_combinations(tmp_path, settings):
    def fresh() -> dict:
        made = {name: value() if isinstance(value, type | partial) else value for name, value in settings.items()}
        return made | {"save_every": 3}

    whole = run(tmp_path / "whole", Loader(), **fresh())
    for step in (8, 19, 27):
        with pytest.raises(Killed):
            run(tmp_path / "killed", Dying(step), **fresh())
    check(run(tmp_path / "killed", Loader(), **fresh()), whole)


def test_how_often_is_saved_changes_nothing(tmp_path):
    often = run(tmp_path / "often", Loader(), **everything() | {"save_every": 1})
    seldom = run(tmp_path / "seldom", Loader(), **everything() | {"save_every": 1000})
    by_time = run(tmp_path / "by_time", Loader(), **everything() | {"save_every": 0})
    check(often, seldom)
    check(often, by_time)


class Fatal(Loader):
    """Dies at step 23, as it would of ``kill -9``."""

    def __iter__(self):
        for batch in super().__iter__():
            if self.step == 23:
                os.kill(os.getpid(), signal.SIGKILL)
            yield batch


def train_until_killed(folder: Path) -> None:
    run(folder, Fatal(poison=(12,)), **everything() | {"ahead": 0})


def test_kill_9(tmp_path, uninterrupted, processes):
    child = processes.Process(target=train_until_killed, args=(tmp_path,))
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    assert Checkpointer(tmp_path / "state").step() == 21
    check(run(tmp_path, Loader(poison=(12,)), **everything()), uninterrupted)
