"""One notebook, run by the runner and by the plain papermill command."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from lab.flow.guard import ParameterError, assignments, check, declarations
from lab.flow.runner import by_hand, literal
from tests.flow.toy import write_notebook

PAPERMILL = Path(sys.executable).with_name("papermill")


@pytest.fixture
def notebook(tmp_path: Path) -> Path:
    path = tmp_path / "one.ipynb"
    write_notebook(
        path, 'recipe: str = "a"  # which\nseed: int = 0\nrate: float = 0.5', "print(recipe, seed, type(rate).__name__)"
    )
    return path


def run(*words: object, **environment: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "lab.flow.runner", *map(str, words)]
    return subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=120, check=False
    )


def printed(notebook: Path) -> str:
    cells = json.loads(notebook.read_text())["cells"]
    return "".join("".join(output.get("text", "")) for cell in cells for output in cell.get("outputs", ()))


def test_success(notebook, tmp_path, warm_process):
    (tmp_path / "parameters.yaml").write_text("recipe: from_file\nseed: 7\n")
    out = tmp_path / "runs/deep/out.ipynb"
    done = run(notebook, out, "-f", tmp_path / "parameters.yaml", "-y", "{rate: 1}", "-p", "recipe", "b")
    assert done.returncode == 0, done.stderr
    assert printed(out) == "b 7 int\n"
    assert "b 7 int" in done.stdout
    assert [path.name for path in out.parent.iterdir()] == ["out.ipynb"]


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("sede", "1", "unknown parameter 'sede' (nearest: 'seed')"),
        ("seed", "one", "parameter seed: 'one' is not of type int"),
    ],
)
def test_a_wrong_parameter_is_an_error_for_the_runner_and_for_papermill(
    notebook, tmp_path, warm_process, name, value, sentence
):
    out = tmp_path / "out.ipynb"
    ours = run(notebook, out, "-p", name, value)
    assert ours.returncode == 2 and sentence in ours.stderr
    assert "recipe, seed, rate" in ours.stderr or name == "seed"
    assert not out.exists()
    plain = subprocess.run(
        [PAPERMILL, notebook, out, "-p", name, value], capture_output=True, text=True, timeout=120, check=False
    )
    assert plain.returncode == 1 and sentence in plain.stderr


def test_the_plain_papermill_command_runs(notebook, tmp_path):
    out = tmp_path / "out.ipynb"
    command = [PAPERMILL, notebook, out, "-p", "recipe", "aiac_rank1", "-p", "seed", "1"]
    plain = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert plain.returncode == 0, plain.stderr
    assert printed(out) == "aiac_rank1 1 float\n"


def test_a_failing_cell_keeps_the_partial_notebook(tmp_path, warm_process):
    notebook, out = tmp_path / "bad.ipynb", tmp_path / "run/out.ipynb"
    write_notebook(notebook, "rate: float = 0.0", "print('so far')", "assert rate < 0.1, 'learning rate diverged'")
    failed = run(notebook, out, "-p", "rate", "0.2")
    assert failed.returncode == 1
    for line in (
        f"FAILED {notebook}, cell 'cell2' (In[5]): AssertionError: learning rate diverged",
        "parameters: {'rate': 0.2}",
        f"see: {out.with_suffix('.failed.ipynb')}",
        f"by hand: papermill {notebook} out.ipynb -p rate 0.2",
    ):
        assert line in failed.stderr
    assert "so far" in printed(out.with_suffix(".failed.ipynb"))
    assert [path.name for path in out.parent.iterdir()] == ["out.failed.ipynb"]

    assert run(notebook, out, "-p", "rate", "0.01").returncode == 0
    assert [path.name for path in out.parent.iterdir()] == ["out.ipynb"], "success removes what the failure left"


def test_a_dying_kernel_is_told(tmp_path, warm_process):
    notebook, out = tmp_path / "dies.ipynb", tmp_path / "out.ipynb"
    write_notebook(notebook, "x: int = 0", "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
    failed = run(notebook, out)
    assert failed.returncode == 1
    assert "the kernel died; out of memory is the usual reason" in failed.stderr


@pytest.mark.parametrize("cold", [False, True])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_survives_a_killed_runner(tmp_path, warm_process, cold, number):
    """Neither the kernel nor the process it started in a session of its own."""
    notebook, pids = tmp_path / "long.ipynb", tmp_path / "pids"
    cell = (
        "import os, subprocess, sys, pathlib, time\n"
        "child = subprocess.Popen([sys.executable, '-S', '-c', 'import time; time.sleep(100)'], start_new_session=True)\n"
        f"pathlib.Path({str(pids)!r}).write_text(f'{{os.getpid()}} {{child.pid}}')\ntime.sleep(100)"
    )
    write_notebook(notebook, "x: int = 0", cell)
    environment = {**os.environ, **({"VIDLAB_ZYGOTE": ""} if cold else {})}
    runner = subprocess.Popen(
        [sys.executable, "-m", "lab.flow.runner", str(notebook), str(tmp_path / "out.ipynb")],
        env=environment,
        stdout=subprocess.DEVNULL,
    )
    try:
        _wait(lambda: pids.exists() and pids.read_text(), 60)
    finally:
        runner.send_signal(number)
    runner.wait(timeout=30)
    family = [int(pid) for pid in pids.read_text().split()]
    _wait(lambda: not any(_runs(pid) for pid in family[: 1 if cold and number == signal.SIGKILL else 2]), 15)
    for pid in filter(
        _runs, family
    ):  # kill -9 of a cold runner itself: its kernel goes, what the kernel started may not
        os.kill(pid, signal.SIGKILL)
    assert not (tmp_path / "out.ipynb").exists()


def _runs(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def _wait(condition, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_module_runs_with_its_arguments(tmp_path, warm_process):
    (tmp_path / "in.json").write_text('{"a": 1}')
    assert run("--module", "a task", "json.tool", tmp_path / "in.json", tmp_path / "out.json").returncode == 0
    assert json.loads((tmp_path / "out.json").read_text()) == {"a": 1}
    assert run("--module", "a task", "json.tool", tmp_path / "absent.json").returncode in (1, 2)  # by version of Python


def test_words_have_papermills_types():
    from papermill.cli import _resolve_type

    for word in ("3", "-1", "1e-3", "nan", "True", "None", "base", "01", ""):
        ours, theirs = literal(word), _resolve_type(word)
        assert repr(ours) == repr(theirs)


def test_the_command_by_hand_gives_the_same_values():
    """A text that looks like a number needs papermill's ``-r``."""
    line = by_hand(Path("n.ipynb"), {"corpus": "2022", "seed": 3, "title": "two words"})
    assert line == "papermill n.ipynb out.ipynb -r corpus 2022 -p seed 3 -p title 'two words'"


def test_guard_reads_cells():
    assert declarations("%matplotlib inline\na: int = 1  # help\nb = 'x'\n") == {"a": "int", "b": ""}
    assert assignments("# Parameters\na = 1\nb = None\nc = float('nan')\nd = [1, 'x']")["d"] == [1, "x"]
    check({"a": 1, "b": None}, {"a": "float", "b": ""}, "here")
    for given in ({"a": True}, {"a": "1"}):
        with pytest.raises(ParameterError, match="not of type int"):
            check(given, {"a": "int"}, "here")


def test_interactive_use_is_let_through():
    """Outside a kernel and where nothing was injected there is nothing to check."""
    from lab.flow.guard import check_parameters

    check_parameters()


@pytest.mark.skipif(shutil.which("bash") is None, reason="the workflow's shell lines need bash")
def test_events_reach_a_listener(notebook, tmp_path, warm_process, monkeypatch):
    from lab.flow.events import ADDRESS, Listener

    listener = Listener(tmp_path)
    monkeypatch.setenv(ADDRESS, str(listener.path))
    run("--task", "eda/x", notebook, tmp_path / "out.ipynb")
    events = listener.read()
    listener.close()
    assert [event["event"] for event in events] == ["start", "line", "done"]
    assert {event["task"] for event in events} == {"eda/x"}
    assert events[1]["text"] == "a 0 float"
