"""The driver over a toy plan: what reruns after which change, what a failure leaves, what a kill costs."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from lab.flow import ensure, processes, screen
from lab.flow.reproduce import SOON, Busy, on_the_way, only_one, parser
from lab.show.plan import DEPTHS, Plan
from tests.flow.toy import Toy

ALL = {"corpus/twin", "pretrain/base", "finetune/a", "finetune/b", "ablation/ablation", "report/report"}
ONCE = {"a": 1, "b": 1, "base": 1}


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("finished")


@pytest.fixture
def finished(home, monkeypatch) -> Toy:
    """A toy with everything made; each test leaves it so."""
    monkeypatch.setenv("VIDLAB_HOME", str(home))
    toy = Toy(home)
    if not (home / "reports").exists():
        first = toy.drive()
        assert first.status == 0, first.shown
    return toy


def test_everything_then_nothing_then_only_what_changed(toy):
    assert toy.plan() == ALL
    assert not toy.metrics(), "a dry run makes nothing"
    first = toy.drive()
    assert first.status == 0, first.shown
    assert "6 of 6 steps to run" in first.shown
    assert "[  6 of 6] report/report" in first.shown
    assert toy.trained() == ONCE

    started = time.monotonic()
    again = toy.drive()
    assert again.status == 0 and "Nothing to do" in again.shown
    assert time.monotonic() - started < 20

    for file in toy.home.rglob("*"):  # a new date alone reruns nothing
        if file.is_file() and ".snakemake" not in file.parts:
            os.utime(file)
    assert toy.plan() == set()

    toy.values["a"] = 5.0
    assert toy.plan() == {"finetune/a", "ablation/ablation", "report/report"}
    assert toy.drive().status == 0
    assert toy.trained() == {"a": 2, "b": 1, "base": 1}
    assert json.loads((toy.home / "reports/index.html").read_text())["runs/a/metrics.json"] == 10.0

    toy.values["a"] = 2.0
    assert toy.plan() == {"finetune/a", "ablation/ablation", "report/report"}
    toy.values["a"] = 5.0
    assert toy.plan() == set(), "setting a value back leaves nothing to do"


def test_an_edited_notebook_is_shown_again_but_nothing_is_trained_again(finished):
    toy = finished
    toy.write_notebooks(prose="# Another title")
    before = toy.trained()
    assert toy.plan() == ALL - {"corpus/twin"}
    shown = toy.drive().shown
    assert "2 (2 only shown again)" in shown
    assert toy.trained() == before
    assert "Another title" in (toy.home / "runs/a/notebook.ipynb").read_text()
    assert toy.plan() == set()


def test_a_run_that_was_lost_cut_or_edited_is_made_again(finished):
    """The pages that were made from it are there and newer."""
    before, file = finished.trained(), finished.home / "runs/b/metrics.json"
    whole = file.read_text()
    for damage in ("", '{"digest"', '{"digest": "of other settings"}', whole.replace("6.0", "9.9")):
        file.write_text(damage)
        assert "finetune/b" in finished.plan(), damage
    assert finished.drive().status == 0
    assert finished.trained() == {**before, "b": before["b"] + 1} and file.read_text() == whole
    assert finished.plan() == set()
    shutil.rmtree(file.parent)
    assert finished.plan() == {"finetune/b", "ablation/ablation", "report/report"}
    assert finished.drive().status == 0 and finished.trained() == before | {"b": 1} and file.read_text() == whole


def test_a_target_makes_only_what_it_needs(finished):
    """Two results are stale; asking for one leaves the other."""
    toy, before = finished, finished.trained()
    for name in "ab":
        (toy.home / f"runs/{name}/metrics.json").write_text('{"digest": "of other settings"}')
    assert toy.drive("finetune/a").status == 0
    assert toy.trained() == {**before, "a": before["a"] + 1}
    assert toy.drive().status == 0
    assert toy.trained() == {**before, "a": before["a"] + 1, "b": before["b"] + 1}


def test_committed_pages_are_no_reason_to_run_nothing(toy):
    """A fresh clone: the report is there, what it was made of is not."""
    pages = toy.home / "reports/index.html"
    pages.parent.mkdir()
    pages.write_text("{}")
    assert toy.plan() == ALL


def test_lost_pages_are_rendered_again_and_nothing_else_runs(finished):
    (finished.home / "reports/index.html").unlink()
    assert finished.plan() == {"report/report"}
    before = finished.trained()
    assert finished.drive().status == 0
    assert finished.trained() == before and (finished.home / "reports/index.html").exists()


def test_a_failing_step_is_told_and_leaves_only_its_notebook(toy, tmp_path):
    toy.values["a"] = -1.0
    outcome = toy.drive(keep_going=True)
    assert outcome.status == 1
    for words in (
        "notebooks/train.ipynb, cell 'cell1' (In[4]): AssertionError: learning rate diverged",
        "'value': -1.0",
        "see: runs/a/notebook.failed.ipynb",
        "by hand: papermill notebooks/train.ipynb out.ipynb",
        "1 step failed; waiting for it or not started: 2",
        "runs/a/notebook.log",
    ):
        assert words in outcome.shown, outcome.shown
    left = sorted(path.name for path in (tmp_path / "runs/a").iterdir())
    assert left == ["notebook.failed.ipynb", "notebook.log"], left
    assert toy.trained() == {"b": 1, "base": 1}, "what does not depend on it went on"

    toy.values["a"] = 2.0
    assert toy.plan() == {"finetune/a", "ablation/ablation", "report/report"}
    assert toy.drive().status == 0
    assert not (tmp_path / "runs/a/notebook.failed.ipynb").exists()


def test_one_or_two_at_a_time_warm_or_cold_give_the_same_bytes(tmp_path, monkeypatch):
    results = []
    for jobs, cold in ((1, False), (2, True)):
        if cold:
            monkeypatch.setattr(processes, "start_method", lambda: "spawn")
        home = tmp_path / f"{jobs}{cold}"
        home.mkdir()
        monkeypatch.setenv("VIDLAB_HOME", str(home))
        toy = Toy(home)
        assert toy.drive(jobs=jobs).status == 0
        results.append(toy.metrics())
    assert results[0] == results[1] and set(results[0]) == set(ONCE)


def test_one_driver_at_a_time(tmp_path):
    with only_one(tmp_path), pytest.raises(Busy, match="Another 'make reproduce' runs"), only_one(tmp_path):
        raise AssertionError("two drivers")


def test_what_tells_most_runs_first(toy):
    toy.first = ("b",)
    shown = toy.drive(jobs=1).shown
    assert re.findall(r"of +\d+\] finetune/(\w)", shown) == ["b", "a"], shown


class TestOnTheWay:
    """Which reports come before the whole one. A level is corpus, base and ``a``; the whole plan has ``b`` besides."""

    def asked(self, toy: Toy, seconds: float = SOON) -> list[list[str]]:
        """With some seconds for ``b``, and so after the level."""
        every = toy.tasks()
        level = [task for task in every if task.step != "finetune/b"]
        expected = {task.step: seconds if task.step == "finetune/b" else 1.0 for task in every}
        return on_the_way([level], [replace(t, rule="index") if t.rule == "report" else t for t in every], expected, 1)

    def test_a_report_comes_before_much_that_is_left(self, toy):
        assert self.asked(toy, SOON + 1) == [["corpus/twin", "pretrain/base", "finetune/a"]]
        assert self.asked(toy, SOON) == [], "the whole one comes as soon"

    def test_with_two_at_a_time_half_as_much_is_left(self, toy):
        every = toy.tasks()
        assert on_the_way([every[:2]], every, dict.fromkeys((t.step for t in every), SOON), 4) == []
        assert len(on_the_way([every[:2]], every, dict.fromkeys((t.step for t in every), SOON), 1)) == 1

    def test_what_is_made_is_not_reported_twice(self, finished):
        assert self.asked(finished, SOON + 1) == []
        metrics = finished.home / "runs/b/metrics.json"
        whole = metrics.read_bytes()
        try:
            metrics.unlink()
            assert self.asked(finished, SOON + 1) == [], "the level is made and was shown; b can begin"
            page = finished.home / "runs/report/notebook.ipynb"
            page.rename(page.with_suffix(".away"))
            assert len(self.asked(finished, SOON + 1)) == 1, "made, but a kill came before its report"
            page.with_suffix(".away").rename(page)
        finally:
            metrics.write_bytes(whole)

    def test_a_level_that_changed_is_made_and_shown_again(self, finished):
        before = finished.values["a"], finished.values["b"]
        finished.values.update(a=7.0, b=7.0)
        try:
            assert len(self.asked(finished, SOON + 1)) == 1
        finally:
            finished.values.update(a=before[0], b=before[1])


def test_when_time_is_up_what_runs_is_ended_and_begins_again_afterwards(toy, monkeypatch):
    assert toy.drive("pretrain/base").status == 0
    toy.seconds = 120
    started, running = time.monotonic(), toy.home / "runs"
    late = SimpleNamespace(monotonic=lambda: 1e9 * len(list(running.glob("*/*.partial.ipynb"))) + time.monotonic())
    monkeypatch.setattr(screen, "time", late)
    cut = toy.drive(until=1e9)
    assert cut.status == 0 and "It is time for a report" in cut.shown, cut.shown
    assert "failed" not in cut.shown and time.monotonic() - started < 120
    assert toy.trained() == {"base": 1} and not (toy.home / "runs/ablation").exists()
    monkeypatch.undo()
    monkeypatch.setenv("VIDLAB_HOME", str(toy.home))
    toy.seconds = 0
    assert toy.drive().status == 0 and toy.trained() == ONCE
    assert not list(toy.home.rglob("*.failed.ipynb"))


def _wait(condition, seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def _mine(home: Path) -> list[psutil.Process]:
    """Processes that work for a toy: named on their command line, or with its folder in their environment."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("VIDLAB_HOME") == str(home) and process.pid != os.getpid():
                found.append(process)
        except psutil.Error:
            continue
    return [process for process in found if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]


def test_after_kill_9_nothing_runs_on_and_the_next_call_resumes(tmp_path):
    environment = {**os.environ, "VIDLAB_HOME": str(tmp_path)}
    command = [sys.executable, "-m", "tests.flow.toy", str(tmp_path)]
    driver = subprocess.Popen([*command, "60"], env=environment, stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        _wait((tmp_path / "runs/base").exists, 240, "the first training never started")
        _wait(lambda: list((tmp_path / "runs/base").glob("*.partial.ipynb")), 120, "no notebook runs")
        assert len(_mine(tmp_path)) >= 2
    finally:
        os.kill(driver.pid, signal.SIGKILL)
        driver.wait()
    _wait(lambda: not _mine(tmp_path), 10, f"still running: {_mine(tmp_path)}")

    second = subprocess.run([*command, "0"], env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert second.returncode == 0, second.stdout + second.stderr
    assert "[  5 of 5]" in second.stdout, "the corpus was finished, the rest was not"
    assert not list(tmp_path.rglob("*.partial.ipynb"))


def test_a_finished_training_survives_a_notebook_that_fails_after_it(toy, tmp_path):
    assert toy.drive("finetune/a").status == 0
    toy.values["a"] = 5.0  # trained anew, over the run that is there
    notebook = tmp_path / "notebooks/train.ipynb"
    whole = notebook.read_text()
    notebook.write_text(whole.replace("value * 2})", "value * 2})\\n    assert value < 4"))
    assert notebook.read_text() != whole
    assert toy.drive("finetune/a").status == 1
    assert json.loads((tmp_path / "runs/a/metrics.json").read_text())["score"] == 10.0
    notebook.write_text(whole)
    assert toy.drive("finetune/a").status == 0
    assert toy.trained() == {"a": 2, "base": 1}


@pytest.mark.parametrize("name", ["$(touch x) `touch x`;#%", 'it\'s "so" *?[a] 我的 视频 (1)'])
def test_any_folder_name_works(tmp_path, monkeypatch, name):
    home = tmp_path / name
    home.mkdir()
    monkeypatch.setenv("VIDLAB_HOME", str(home))
    toy = Toy(home, name=name)
    done = toy.drive(f"finetune/{name}")
    assert done.status == 0, done.shown
    assert toy.trained() == {name: 1, "base": 1}
    assert toy.drive(f"finetune/{name}").shown.startswith("Nothing to do")
    assert not list(tmp_path.rglob("x"))


def test_braces_are_refused(toy):
    shown = Toy(toy.home, name="{x}").drive("finetune/{x}").shown
    assert "runs/{x}/" in shown and "rename the folder" in shown


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("HOME", "nowhere"),
        ("HOME", "file/below"),
        ("HOME", "half"),
        ("XDG_CACHE_HOME", "file/below"),
        ("XDG_DATA_HOME", "file"),
    ],
)
def test_a_home_that_cannot_be_written_is_no_obstacle(tmp_path, name, folder):
    (tmp_path / "half").mkdir()
    for file in (tmp_path / "file", tmp_path / "half" / ".cache"):
        file.write_text("no folder")
    environment = {**os.environ, "VIDLAB_HOME": str(tmp_path / "work"), name: str(tmp_path / folder)}
    code = (
        "import os; from pathlib import Path; from lab.flow.reproduce import have_a_home; from tests.flow.toy import Toy\n"
        "work = Path(os.environ['VIDLAB_HOME']); work.mkdir(); have_a_home(work / '.home')\n"
        "done = Toy(work).drive('pretrain/base'); print(done.shown); raise SystemExit(done.status)"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not (tmp_path / "nowhere").exists() and (tmp_path / "file").is_file()


@pytest.mark.parametrize(
    ("option", "value"), [("--jobs", "abc"), ("--seeds", "0"), ("--seeds", "-1"), ("--jobs", "1.5")]
)
def test_numbers_say_what_they_must_be(capsys, option, value):
    with pytest.raises(SystemExit):
        parser().parse_args([f"{option}={value}"])
    assert f"argument {option}: {value!r} is not a whole number above zero" in capsys.readouterr().err


@pytest.mark.parametrize("depth", DEPTHS)
def test_the_driver_makes_the_seeds_that_a_notebook_reads(depth):
    plan = Plan.load("laptop", depth=depth)
    asked = parser().parse_args([*ensure._words((plan, "ablation", "ema")), "--inputs-only"])
    again = Plan.load(asked.scale, asked.corpus, asked.systems, asked.seeds, (), asked.depth)
    assert again.seeds_of("ema") == plan.seeds_of("ema") and asked.targets == ["ablation/ema"]
