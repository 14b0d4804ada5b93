"""Run one notebook with papermill, or one module, the way the workflow needs it.

    python -m lab.flow.runner NOTEBOOK OUT [-p name value ...] [-f parameters.yaml] [-y '{name: value}']
    python -m lab.flow.runner --module TASK lab.corpora.build twin_pairs --scale smoke

What it adds to papermill: an unknown parameter is an error, OUT appears only when the notebook succeeded (the partial
one is kept as OUT's ``.failed.ipynb``), a failure is told in a few lines, nothing survives the process that started it,
one CPU thread unless the environment says otherwise, no network port, and a warm start where a fork server runs.
"""

from __future__ import annotations

import argparse
import logging
import os
import runpy
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from lab.flow import events, forkclient
from lab.flow.watch import die_with_parent, kill_descendants

# Set before a kernel starts. The thread count is part of a result (1 and 2 threads give different weights), and waiting
# OpenMP threads that spin slow a busy machine down tenfold. The C library must not hand a training step's large blocks
# back to the kernel only to ask for them again in the next one: a tenth of a job's time went into clearing those pages.
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "passive",
    "MALLOC_MMAP_THRESHOLD_": str(2**30),
    "MALLOC_TRIM_THRESHOLD_": str(2**32),
    "TOKENIZERS_PARALLELISM": "false",
    "PYTHONHASHSEED": "0",
}


class NotebookFailed(Exception):
    """A notebook did not run to its end; the message is what the user needs to see."""


def run_notebook(notebook: Path, out: Path, parameters: dict[str, Any], task: str = "") -> None:
    """Execute ``notebook`` into ``out``.

    Raises:
        ParameterError: a parameter that the notebook does not have, or a value of another type.
        NotebookFailed: a cell raised or the kernel died; the partial notebook is kept beside ``out``.
    """
    import papermill
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError
    from traitlets.config import Config

    from lab.flow.guard import check

    known = {name: facts["inferred_type_name"] for name, facts in papermill.inspect_notebook(notebook).items()}
    check(parameters, {name: "" if kind == "None" else kind for name, kind in known.items()}, str(notebook))

    failed = out.with_suffix(".failed.ipynb")
    partial = out.with_name(f"{out.stem}.{os.getpid()}.partial.ipynb")
    out.parent.mkdir(parents=True, exist_ok=True)
    for leftover in (*out.parent.glob(f"{out.stem}.*.partial.ipynb"), failed):
        leftover.unlink(missing_ok=True)
    handler = _Echo(task)
    log = logging.getLogger("papermill")
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False
    problem = ""
    try:
        # Sockets in a folder of this run's own: jupyter_client would put "kernel-ipc-1" into the working folder, and two
        # runs that start together would share it. Short, because a socket's path may have some hundred characters.
        with tempfile.TemporaryDirectory(prefix="vidlab-run-") as sockets:
            kernel = {"transport": "ipc", "ip": f"{sockets}/kernel", "connection_file": f"{sockets}/kernel.json"}
            papermill.execute_notebook(
                str(notebook), str(partial), parameters, progress_bar=False, log_output=True, autosave_cell_every=0,
                config=Config({"KernelManager": kernel}),
            )  # fmt: skip
        os.replace(partial, out)
        return
    except PapermillExecutionError as error:
        problem = f"cell {_failing_cell(partial)!r} (In[{error.exec_count}]): {error.ename}: {error.evalue}"
    except DeadKernelError:
        problem = f"cell {_last_cell(partial)!r}: the kernel died; out of memory is the usual reason"
    finally:
        log.removeHandler(handler)
        if partial.exists():
            os.replace(partial, failed)
    raise NotebookFailed(
        f"FAILED {notebook}, {problem}\n"
        f"  parameters: {parameters}\n"
        f"  see: {failed}\n"
        f"  by hand: {by_hand(notebook, parameters)}"
    )


def by_hand(notebook: Path, parameters: dict[str, Any]) -> str:
    """The papermill command that repeats a run."""
    import shlex

    given = ("-r" if isinstance(value, str) and literal(value) != value else "-p" for value in parameters.values())
    words = [
        word for flag, (name, value) in zip(given, parameters.items(), strict=True) for word in (flag, name, str(value))
    ]
    return shlex.join(["papermill", str(notebook), "out.ipynb", *words])


def literal(text: str) -> Any:
    """The value of a command line's word, by papermill's rules.

    >>> literal("3"), literal("1e-3"), literal("None"), literal("base")
    (3, 0.001, None, 'base')
    """
    named = {"True": True, "False": False, "None": None}
    if text in named:
        return named[text]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


PAPERMILLS_OWN = ("Input Notebook:", "Output Notebook:", "Executing ", "Ending Cell")


class _Echo(logging.Handler):
    """Prints what the kernel prints, and tells the driver the newest line. Of a progress bar only the last state is kept."""

    def __init__(self, task: str) -> None:
        super().__init__()
        self.task = task
        self.told = 0.0

    def emit(self, record: logging.LogRecord) -> None:
        if record.getMessage().startswith(PAPERMILLS_OWN):
            return
        lines = [line.rpartition("\r")[2] for line in record.getMessage().rstrip().splitlines()]
        if record.getMessage().startswith("\r"):  # a bar: its states follow each other too fast for a log
            if time.monotonic() - self.told < 0.3:
                return
            lines = lines[-1:]
        if not any(lines):
            return
        print("\n".join(lines), flush=True)
        if time.monotonic() - self.told >= 0.3:
            self.told = time.monotonic()
            events.tell(self.task, "line", text=lines[-1].strip()[:200])


def _cells(notebook: Path) -> list[dict[str, Any]]:
    import json

    return json.loads(notebook.read_text(encoding="utf-8"))["cells"] if notebook.exists() else []


def _failing_cell(notebook: Path) -> str:
    """Id of the cell whose output is an error."""
    failing = (cell for cell in _cells(notebook) if any(o["output_type"] == "error" for o in cell.get("outputs", ())))
    return next((cell["id"] for cell in failing), "?")


def _last_cell(notebook: Path) -> str:
    """Id of the last cell that was started."""
    started = [
        cell["id"]
        for cell in _cells(notebook)
        if cell["metadata"].get("papermill", {}).get("status") in ("running", "failed")
    ]
    return started[-1] if started else "?"


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m lab.flow.runner", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("notebook", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument(
        "-p", dest="words", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"), help="one parameter"
    )
    parser.add_argument("-f", dest="file", type=Path, help="parameters from a YAML file")
    parser.add_argument("-y", dest="yaml", default="{}", help="parameters as YAML text, with their types")
    parser.add_argument("--task", default="", help="name under which progress is told to the driver")
    return parser.parse_args(argv)


def _parameters(arguments: argparse.Namespace) -> dict[str, Any]:
    import yaml

    from_file = yaml.safe_load(arguments.file.read_text(encoding="utf-8")) if arguments.file else {}
    return {**from_file, **yaml.safe_load(arguments.yaml), **{name: literal(value) for name, value in arguments.words}}


def _module(argv: list[str], task: str) -> int:
    """Run ``python -m argv`` in this process."""
    sys.argv = argv
    try:
        runpy.run_module(argv[0], run_name="__main__", alter_sys=True)
    except SystemExit as ending:
        if isinstance(ending.code, str):
            print(ending.code, file=sys.stderr)
        return ending.code if isinstance(ending.code, int) else int(ending.code is not None)
    return 0


def run(argv: list[str]) -> int:
    """The command line, in this process. Returns the exit status: 1 a notebook failed, 2 a wrong call."""
    from lab.flow.guard import ParameterError

    die_with_parent()
    signal.signal(signal.SIGTERM, _end)
    os.environ.update({name: value for name, value in ENVIRONMENT.items() if name not in os.environ})
    if os.environ.get(forkclient.ADDRESS):
        kernels = str(Path(os.environ[forkclient.ADDRESS]).parent)
        os.environ["JUPYTER_PATH"] = os.pathsep.join(filter(None, [kernels, os.environ.get("JUPYTER_PATH")]))
    if argv[:1] == ["--module"]:
        return _told(argv[1], lambda: _module(argv[2:], argv[1]))
    arguments = _arguments(argv)
    try:
        return _told(
            arguments.task,
            lambda: run_notebook(arguments.notebook, arguments.out, _parameters(arguments), arguments.task) or 0,
        )
    except ParameterError as error:
        print(f"{arguments.notebook}: {error}", file=sys.stderr)
        return 2
    except NotebookFailed as error:
        print(error, file=sys.stderr, flush=True)
        return 1


def _end(*_: object) -> None:
    """On SIGTERM: before papermill asks the kernel to leave, because a kernel that leaves orphans what it started."""
    kill_descendants()
    sys.exit(143)


def _told(task: str, work) -> int:
    """Do the work between a ``start`` and a ``done`` or ``failed`` event; leave no descendant behind."""
    started = time.monotonic()
    events.tell(task, "start")
    try:
        status = work()
        facts = {} if status == 0 else {"text": f"exit status {status}"}
    except Exception as error:
        events.tell(task, "failed", text=str(error))
        raise
    finally:
        kill_descendants()
    events.tell(task, "failed" if status else "done", seconds=round(time.monotonic() - started, 2), **facts)
    return status


def main() -> None:
    argv = sys.argv[1:]
    if os.environ.get("VIDLAB_FORKED") != str(os.getpid()):
        status = forkclient.run("lab.flow.runner", argv)
        if status is not None:
            forkclient.leave(status)
    sys.exit(run(argv))


if __name__ == "__main__":
    main()
