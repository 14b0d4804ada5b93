"""One notebook, run in a process of its own and by the plain papermill command."""

import base64
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from lab.flow import processes, screen
from lab.flow.guard import ParameterError, check, declarations
from lab.flow.notebook import by_hand, run_module, run_notebook
from tests.flow.toy import write_notebook

PAPERMILL = Path(sys.executable).with_name("papermill")


@pytest.fixture
def notebook(tmp_path: Path) -> Path:
    path = tmp_path / "one.ipynb"
    write_notebook(
        path, 'recipe: str = "a"  # which\nseed: int = 0\nrate: float = 0.5', "print(recipe, seed, type(rate).__name__)"
    )
    return path


def run(notebook: Path, out: Path, **parameters: object) -> tuple[int, str]:
    """Exit status and the log."""
    status = run_notebook(notebook, out, parameters, out.with_suffix(".log"))
    return status, out.with_suffix(".log").read_text()


def plain(notebook: Path, out: Path, *words: str) -> subprocess.CompletedProcess:
    command = [PAPERMILL, notebook, out, *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def outputs(notebook: Path, cell: str = "") -> list[dict]:
    cells = json.loads(notebook.read_text())["cells"]
    return [output for one in cells if cell in ("", one["id"]) for output in one.get("outputs", ())]


def printed(notebook: Path) -> str:
    return "".join("".join(output.get("text", "")) for output in outputs(notebook))


def test_success(notebook, tmp_path):
    out = tmp_path / "runs/deep/out.ipynb"
    out.parent.mkdir(parents=True)
    status, log = run(notebook, out, recipe="b", seed=7, rate=1)
    assert (status, log) == (0, "b 7 int\n")
    assert printed(out) == "b 7 int\n"
    assert sorted(path.name for path in out.parent.iterdir()) == ["out.ipynb", "out.log"]
    executed = json.loads(out.read_text())
    assert [cell["id"] for cell in executed["cells"]][:2] == ["title", "params"], "cells keep their names"
    assert executed["metadata"]["papermill"]["parameters"] == {"recipe": "b", "seed": 7, "rate": 1}
    code = [cell for cell in executed["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == [1, 2, 3, 4]
    assert all(cell["metadata"]["papermill"]["duration"] >= 0 for cell in code)


CELLS = {
    "mixed": "import sys\nprint('one')\nprint('two', file=sys.stderr)\nprint('three')\n4",
    "bar": "for i in range(3):\n    print(f'\\r{i} of 2', end='', flush=True)",
    "c": "import ctypes\nprint('python')\nctypes.CDLL(None).puts(b'from C');",
    "display": "from IPython.display import HTML, display\nshown = display(HTML('<b>0</b>'), display_id=True)\nprint('between')\nshown.update(HTML('<b>1</b>'))",
    "own": "class Own:\n    def _repr_mimebundle_(self, **_):\n        return {'text/plain': 'own', 'application/x-table+json': {'rows': [1]}}\nOwn()",
    "figure": "import matplotlib.pyplot as plt\nplt.plot([1, 2]);",
    "clear": "from IPython.display import clear_output\nprint('old')\nclear_output(wait=True)\nprint('new')",
    "rich": "from rich.progress import track\nfor _ in track([1, 2]):\n    pass",
    "silent": "value = 1",
}
WANTED = {
    "mixed": [("stdout", "one\n"), ("stderr", "two\n"), ("stdout", "three\n"), ("execute_result", "4")],
    "bar": [("stdout", "2 of 2")],
    "display": [("display_data", "<b>1</b>"), ("stdout", "between\n")],
    "clear": [("stdout", "new\n")],
    "silent": [],
}


@pytest.fixture(scope="module")
def executed(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("kinds")
    write_notebook(folder / "in.ipynb", "x: int = 0", *CELLS.values())
    assert run(folder / "in.ipynb", folder / "out.ipynb")[0] == 0
    return folder / "out.ipynb"


def of(executed: Path, name: str) -> list[dict]:
    return outputs(executed, f"cell{list(CELLS).index(name) + 1}")


@pytest.mark.parametrize("name", WANTED)
def test_what_a_cell_shows_comes_in_order(executed, name):
    shown = []
    for output in of(executed, name):
        data = output.get("data", {})
        text = output.get("text") or data.get("text/html") or data.get("text/plain")
        shown.append((output.get("name") or output["output_type"], "".join(text)))
    assert shown == WANTED[name]


def test_a_figure_is_a_picture_and_what_c_prints_is_there(executed):
    (picture,) = of(executed, "figure")
    assert base64.b64decode(picture["data"]["image/png"]).startswith(b"\x89PNG")
    assert "".join(of(executed, "c")[0]["text"]).splitlines() == ["python", "from C"]
    assert "python\nfrom C\n" in executed.with_suffix(".log").read_text()


def test_a_mime_type_of_ones_own_and_a_progress_bar_of_rich_arrive(executed):
    assert of(executed, "own")[0]["data"] == {"text/plain": ["own"], "application/x-table+json": {"rows": [1]}}
    assert "100%" in "".join(of(executed, "rich")[0]["text"])


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("sede", 1, "unknown parameter 'sede' (nearest: 'seed')"),
        ("seed", "one", "parameter seed: 'one' is not of type int"),
    ],
)
def test_a_wrong_parameter_is_an_error_for_the_workflow_and_for_papermill(notebook, tmp_path, name, value, sentence):
    out = tmp_path / "out.ipynb"
    status, log = run(notebook, out, **{name: value})
    assert status == 2 and sentence in log
    assert "recipe, seed, rate" in log or name == "seed"
    assert not out.exists()
    done = plain(notebook, out, "-p", name, str(value))
    assert done.returncode == 1 and sentence in done.stderr


def test_the_plain_papermill_command_runs(notebook, tmp_path):
    out = tmp_path / "out.ipynb"
    done = plain(notebook, out, "-p", "recipe", "aiac_rank1", "-p", "seed", "1")
    assert done.returncode == 0, done.stderr
    assert printed(out) == "aiac_rank1 1 float\n"


def test_a_failing_cell_keeps_the_partial_notebook(tmp_path):
    notebook, out = tmp_path / "bad.ipynb", tmp_path / "run/out.ipynb"
    write_notebook(notebook, "rate: float = 0.0", "print('so far')", "assert rate < 0.1, 'learning rate diverged'")
    out.parent.mkdir()
    status, log = run(notebook, out, rate=0.2)
    assert status == 1
    for line in (
        f"FAILED {notebook}, cell 'cell2' (In[5]): AssertionError: learning rate diverged",
        "parameters: {'rate': 0.2}",
        f"see: {out.with_suffix('.failed.ipynb')}",
        f"by hand: papermill {shlex.quote(str(notebook))} out.ipynb -p rate 0.2",
    ):
        assert line in log
    assert screen.last_words(out.with_suffix(".log")).startswith("FAILED")
    failed = out.with_suffix(".failed.ipynb")
    assert "so far" in printed(failed)
    (error,) = outputs(failed, "cell2")
    assert error["ename"] == "AssertionError"
    assert "rate < 0.1" in re.sub(r"\x1b\[[0-9;]*m", "", "".join(error["traceback"]))
    assert sorted(path.name for path in out.parent.iterdir()) == ["out.failed.ipynb", "out.log"]

    assert run(notebook, out, rate=0.01)[0] == 0
    assert sorted(path.name for path in out.parent.iterdir()) == ["out.ipynb", "out.log"], "success removes the failure"


def _elsewhere(notebook: Path, folder: Path) -> str:
    """Code that runs a notebook from a process of its own."""
    paths = f"Path({str(notebook)!r}), Path({str(folder / 'out.ipynb')!r})"
    return f"import sys; from pathlib import Path; from tests.flow.test_notebook import run; status, _ = run({paths})"


@pytest.mark.parametrize("method", ["forkserver", "spawn"])
def test_a_process_that_is_killed_is_told_and_leaves_nothing(tmp_path, monkeypatch, method):
    monkeypatch.setattr(processes, "start_method", lambda: method)
    notebook, pid = tmp_path / "dies.ipynb", tmp_path / "pid"
    cell = (
        "import os, pathlib, signal, subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-S', '-c', 'import time; time.sleep(100)'])\n"
        f"pathlib.Path({str(pid)!r}).write_text(str(child.pid))\nos.kill(os.getpid(), signal.SIGKILL)"
    )
    write_notebook(notebook, "x: int = 0", cell)
    status, log = run(notebook, tmp_path / "out.ipynb")
    assert status in (-9, 255)
    assert "cell 'cell1': ended by SIGKILL; out of memory is the usual reason" in log
    _wait(lambda: not _runs(int(pid.read_text())), 10)


def test_the_newest_line_of_a_running_step_is_known(tmp_path):
    notebook, log = tmp_path / "slow.ipynb", tmp_path / "out.log"
    write_notebook(notebook, "x: int = 0", "import time\nprint('step 1 of 9')\ntime.sleep(4)\nprint('the end')")
    thread = threading.Thread(target=run, args=(notebook, tmp_path / "out.ipynb"))
    thread.start()
    _wait(lambda: screen.newest_line(log) == "step 1 of 9", 100)
    assert thread.is_alive()
    thread.join()
    assert screen.newest_line(log) == "the end"


@pytest.mark.parametrize("name", ["long" * 40, "长" * 60, "a/" * 60])
def test_a_long_temporary_folder_is_no_obstacle(notebook, tmp_path, name):
    """A socket's address holds some hundred bytes."""
    folder = tmp_path / name
    folder.mkdir(parents=True)
    code = f"{_elsewhere(notebook, tmp_path)}; sys.exit(status)"
    environment = {**os.environ, "TMPDIR": str(folder)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert printed(tmp_path / "out.ipynb") == "a 0 float\n"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_survives_a_killed_driver(tmp_path, number):
    """Neither the notebook nor the process it started in a session of its own."""
    notebook, pids = tmp_path / "long.ipynb", tmp_path / "pids"
    cell = (
        "import os, subprocess, sys, pathlib, time\n"
        "child = subprocess.Popen([sys.executable, '-S', '-c', 'import time; time.sleep(100)'], start_new_session=True)\n"
        f"pathlib.Path({str(pids)!r}).write_text(f'{{os.getpid()}} {{child.pid}}')\ntime.sleep(100)"
    )
    write_notebook(notebook, "x: int = 0", cell)
    code = _elsewhere(notebook, tmp_path)
    driver = subprocess.Popen([sys.executable, "-c", code])
    try:
        _wait(lambda: pids.exists() and pids.read_text(), 100)
    finally:
        driver.send_signal(number)
    driver.wait(timeout=30)
    _wait(lambda: not any(_runs(int(pid)) for pid in pids.read_text().split()), 15)
    assert not (tmp_path / "out.ipynb").exists()


def test_what_runs_is_told_before_it_is_killed(tmp_path):
    """A notebook that saves when it is told to end has the time to; it ends even if it then goes on."""
    notebook, begun, saved = (tmp_path / name for name in ("long.ipynb", "begun", "saved"))
    cell = (
        "import os, pathlib, signal, time\nasked = []\nsignal.signal(signal.SIGTERM, lambda *_: asked.append(1))\n"
        f"pathlib.Path({str(begun)!r}).write_text(str(os.getpid()))\nwhile not asked:\n    time.sleep(0.05)\n"
        f"time.sleep(0.5)\npathlib.Path({str(saved)!r}).touch()\ntime.sleep(100)"
    )
    write_notebook(notebook, "x: int = 0", cell)
    code = (
        "import pathlib, threading, time\nfrom lab.flow import notebook, processes\nprocesses.SAVING = 5\n"
        "processes.PRELOAD = ('papermill', 'IPython.core.magics', 'psutil')\n"
        f"one = (pathlib.Path({str(notebook)!r}), pathlib.Path({str(tmp_path / 'out.ipynb')!r}), {{}}, pathlib.Path({str(tmp_path / 'log')!r}))\n"
        f"threading.Thread(target=notebook.run_notebook, args=one, daemon=True).start()\n"
        f"while not pathlib.Path({str(begun)!r}).exists():\n    time.sleep(0.1)\nprocesses.stop()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=600)
    assert saved.exists() and not _runs(int(begun.read_text()))


def test_of_a_killed_job_nothing_is_left_to_warn_of(tmp_path):
    """joblib turns the lock of a progress bar into a semaphore with a name, which outlives a killed process."""
    notebook, begun = tmp_path / "long.ipynb", tmp_path / "begun"
    cell = "import pathlib, time, joblib\nfrom tqdm import tqdm\nbar = tqdm(range(5))\n"
    write_notebook(notebook, "x: int = 0", f"{cell}pathlib.Path({str(begun)!r}).touch()\ntime.sleep(100)")
    code = (
        "import pathlib, threading, time\nfrom lab.flow import notebook, processes\n"
        "processes.PRELOAD = ('papermill', 'IPython.core.magics', 'psutil')\n"
        f"one = (pathlib.Path({str(notebook)!r}), pathlib.Path({str(tmp_path / 'out.ipynb')!r}), {{}}, pathlib.Path({str(tmp_path / 'log')!r}))\n"
        f"job = threading.Thread(target=notebook.run_notebook, args=one)\njob.start()\n"
        f"while not pathlib.Path({str(begun)!r}).exists():\n    time.sleep(0.1)\nprocesses.interrupt()\njob.join()"
    )
    ended = subprocess.run([sys.executable, "-c", code], check=True, timeout=600, capture_output=True, text=True)
    assert begun.exists() and "leaked" not in ended.stderr, ended.stderr


def _runs(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def _wait(condition, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_module_runs_with_its_arguments(tmp_path):
    (tmp_path / "in.json").write_text('{"a": 1}')
    log = tmp_path / "log"
    assert run_module(["json.tool", str(tmp_path / "in.json"), str(tmp_path / "out.json")], log) == 0
    assert json.loads((tmp_path / "out.json").read_text()) == {"a": 1}
    assert run_module(["json.tool", str(tmp_path / "absent.json")], log) in (1, 2)  # by version of Python
    assert "absent.json" in screen.last_words(log)


def test_the_command_by_hand_gives_the_same_values():
    """A text that looks like a number needs papermill's ``-r``."""
    line = by_hand(Path("n.ipynb"), {"corpus": "2022", "seed": 3, "title": "two words"})
    assert line == "papermill n.ipynb out.ipynb -r corpus 2022 -p seed 3 -p title 'two words'"


def test_guard_reads_cells():
    assert declarations("%matplotlib inline\na: int = 1  # help\nb = 'x'\n") == {"a": "int", "b": ""}
    check({"a": 1, "b": None}, {"a": "float", "b": ""}, "here")


@pytest.mark.parametrize("value", [True, 1.5, "1", None])
def test_types_are_held(value):
    with pytest.raises(ParameterError, match="not of type int"):
        check({"seed": value}, {"seed": "int"}, "this notebook")
