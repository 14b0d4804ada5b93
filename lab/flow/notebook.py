"""Run one notebook, or one module, as a step of the workflow.

What this adds to papermill: an unknown parameter is an error, the executed notebook appears only when it succeeded (the
partial one is kept as ``.failed.ipynb``), and a failure is told in a few lines.
"""

from __future__ import annotations

import os
import runpy
import shlex
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lab.flow import processes
from lib.runs.files import read_json

FAILED = "FAILED "  # how the last words of a step that failed begin


def run_notebook(notebook: Path, out: Path, parameters: dict[str, Any], log: Path, gpus: int = 0) -> int:
    """Execute ``notebook`` into ``out`` in a process of its own; what it prints, and why it failed, goes to ``log``.

    Returns:
        The exit status, negative for the signal that ended the process.
    """
    failed, partial = out.with_suffix(".failed.ipynb"), out.with_suffix(".partial.ipynb")
    out.parent.mkdir(parents=True, exist_ok=True)
    for leftover in (failed, partial):
        leftover.unlink(missing_ok=True)
    status = processes.run(_execute, (str(notebook), str(partial), parameters), log, gpus)
    if status == 0:
        os.replace(partial, out)
        return 0
    problem = ""
    if partial.exists():
        problem = _problem(read_json(partial)["cells"], status)
        os.replace(partial, failed)
    with log.open("a", encoding="utf-8") as stream:
        stream.write(
            f"{FAILED}{notebook}, {problem or ending(status)}\n  parameters: {parameters}\n  see: {failed if problem else log}\n"
            f"  by hand: {by_hand(notebook, parameters)}\n"
        )
    return status


def _execute(notebook: str, out: str, parameters: dict[str, Any]) -> int:
    import papermill
    from papermill.exceptions import PapermillExecutionError

    from lab.flow.engine import NAME
    from lab.flow.guard import ParameterError, check

    known = {name: facts["inferred_type_name"] for name, facts in papermill.inspect_notebook(notebook).items()}
    try:
        check(parameters, {name: "" if kind == "None" else kind for name, kind in known.items()}, notebook)
        papermill.execute_notebook(
            notebook, out, parameters, engine_name=NAME, progress_bar=False, autosave_cell_every=0
        )
    except ParameterError as error:
        print(error, file=sys.stderr)
        return 2
    except PapermillExecutionError:
        return 1  # the notebook says why
    return 0


def run_module(command: Sequence[str], log: Path) -> int:
    """Run ``python -m command`` in a process of its own; returns its exit status."""
    status = processes.run(_module, (list(command),), log)
    if status:
        with log.open("a", encoding="utf-8") as stream:
            stream.write(f"{FAILED}python -m {shlex.join(command)}: {ending(status)}\n  see: {log}\n")
    return status


def _module(command: list[str]) -> None:
    sys.argv = command
    runpy.run_module(command[0], run_name="__main__", alter_sys=True)


def ending(status: int) -> str:
    """
    >>> ending(-9)
    'ended by SIGKILL; out of memory is the usual reason'
    """
    if status in (-signal.SIGKILL, 255):  # 255: the fork server never learnt how it ended
        return "ended by SIGKILL; out of memory is the usual reason"
    return f"ended by {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"


def by_hand(notebook: Path, parameters: dict[str, Any]) -> str:
    """The papermill command that repeats a run; ``-r`` keeps a text that looks like a number a text."""
    from papermill.cli import _resolve_type

    words = []
    for name, value in parameters.items():
        kept = isinstance(value, str) and _resolve_type(value) != value
        words += ["-r" if kept else "-p", name, str(value)]
    return shlex.join(["papermill", str(notebook), "out.ipynb", *words])


def _problem(cells: list[dict[str, Any]], status: int) -> str:
    """The cell that failed and why, or the one that ran when the process ended."""
    cells = [cell for cell in cells if cell["cell_type"] == "code"]
    for cell in cells:
        for output in cell.get("outputs", ()):
            if output["output_type"] == "error" and "raises-exception" not in cell["metadata"].get("tags", ()):
                where = f"cell {cell['id']!r} (In[{cell['execution_count']}])"
                return f"{where}: {output['ename']}: {output['evalue']}"
    running = [cell["id"] for cell in cells if cell["metadata"].get("papermill", {}).get("status") == "running"]
    return f"cell {(running or ['?'])[-1]!r}: {ending(status)}"
