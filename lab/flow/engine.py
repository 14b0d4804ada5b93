"""A papermill engine that runs a notebook in this process: no kernel, no sockets, no second start of an interpreter.

What a kernel does besides running code is done here: text, displays, updates of displays, results, figures and errors
become outputs of their cell in the order in which they came, and so does what C code prints to standard output.
"""

from __future__ import annotations

import io
import os
import re
import sys
import tempfile
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any

from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.interactiveshell import InteractiveShell
from nbformat.v4 import new_output
from papermill.engines import Engine, papermill_engines
from traitlets.config import Config

NAME = "vidlab"
OVERWRITTEN = re.compile(r"[^\n]*\r(?!\n|$)")  # states of a progress bar that a later one has replaced


class Outputs:
    """Outputs of the running cell, in order. Text is also written to the process's own streams as it comes."""

    def __init__(self) -> None:
        self.cell: list[Any] = []
        self.by_id: dict[str, list[Any]] = {}  # display_id -> every output shown under it, of earlier cells too
        self.clear_next = False

    def begin(self) -> list[Any]:
        self.cell, self.clear_next = [], False
        return self.cell

    def clear(self, wait: bool) -> None:
        self.clear_next = wait
        if not wait:
            self.cell.clear()

    def add(self, kind: str, **content: Any) -> Any:
        if self.clear_next:  # clear_output(wait=True): only when something takes the place
            self.clear(wait=False)
        self.cell.append(new_output(kind, **content))
        return self.cell[-1]

    def text(self, stream: str, text: str) -> None:
        last = self.cell[-1] if self.cell and not self.clear_next else None
        if last is None or last.get("name") != stream:
            last = self.add("stream", name=stream, text="")
        last["text"] = OVERWRITTEN.sub("", last["text"] + text)

    def display(self, data: dict, metadata: dict | None, display_id: str | None, update: bool) -> None:
        content = {"data": _encoded(data), "metadata": metadata or {}}
        if update:
            for output in self.by_id.get(display_id or "", ()):
                output.update(content)
            return
        output = self.add("display_data", **content)
        if display_id:
            self.by_id.setdefault(display_id, []).append(output)


class Stream(io.TextIOBase):
    """``sys.stdout`` or ``sys.stderr`` of a notebook."""

    encoding = "utf-8"

    def __init__(self, name: str, outputs: Outputs, echo: Any) -> None:
        self.name, self.outputs, self.echo = name, outputs, echo

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return {"stdout": 1, "stderr": 2}[self.name]

    def write(self, text: str) -> int:
        self.outputs.text(self.name, text)
        self.echo.write(text)
        self.echo.flush()
        return len(text)


class Hook(DisplayHook):
    """The value of a cell's last line becomes its ``execute_result``."""

    shell: Any  # a Shell

    def write_output_prompt(self) -> None: ...

    def finish_displayhook(self) -> None: ...

    def write_format_data(self, format_dict: dict, md_dict: dict | None = None) -> None:
        content = {"data": _encoded(format_dict), "metadata": md_dict or {}}
        self.shell.outputs.add("execute_result", execution_count=self.shell.execution_count, **content)


class Publisher(DisplayPublisher):
    """Collects what a cell displays as outputs of that cell."""

    shell: Any  # a Shell

    def publish(self, data, metadata=None, *, transient=None, update=False, **_) -> None:  # type: ignore[override]
        self.shell.outputs.display(data, metadata, (transient or {}).get("display_id"), update)

    def clear_output(self, wait: bool = False) -> None:
        self.shell.outputs.clear(wait)


class Shell(InteractiveShell):
    """IPython without a terminal and without a kernel: rich and tqdm print their bars as text."""

    displayhook_class = Hook
    display_pub_class = Publisher

    def init_sys_modules(self) -> None:
        self.outputs = Outputs()
        super().init_sys_modules()

    def enable_gui(self, gui: Any = None) -> None: ...

    def _showtraceback(self, etype, evalue, stb) -> None:
        self.outputs.add("error", ename=etype.__name__, evalue=str(evalue), traceback=list(stb))


class InProcess(Engine):
    """``papermill.execute_notebook(..., engine_name=engine.NAME)``; one notebook a process."""

    @classmethod
    def execute_managed_notebook(cls, nb_man, kernel_name, **_: Any) -> None:
        with tempfile.TemporaryDirectory(prefix="vidlab-") as folder:
            quiet = Config({"HistoryManager": {"enabled": False}})
            Shell.clear_instance()
            shell = Shell.instance(config=quiet, ipython_dir=folder)
            shell.run_line_magic("matplotlib", "inline")
            with _streams(shell.outputs) as collect:
                for index, cell in enumerate(nb_man.nb.cells):
                    runs = cell.cell_type == "code" and cell.source.strip()
                    if runs and not _run(shell, nb_man, cell, index, collect):
                        break


def _run(shell: Shell, nb_man, cell, index: int, collect) -> bool:
    """Run one cell; returns whether the notebook may go on."""
    cell.outputs = shell.outputs.begin()
    nb_man.cell_start(cell, index)
    cell.outputs = shell.outputs.cell  # papermill empties a cell that it starts
    done = shell.run_cell(cell.source, store_history=True)
    collect()
    cell.execution_count = done.execution_count
    error = done.error_before_exec or done.error_in_exec
    if error is not None and "raises-exception" not in cell.metadata.get("tags", ()):
        nb_man.cell_exception(cell, index, exception=error)
        return False
    nb_man.cell_complete(cell, index)
    return True


@contextmanager
def _streams(outputs: Outputs) -> Iterator:
    """Python's streams go to the outputs and on to the log; what C code prints is collected at the end of a cell.

    Only descriptor 1 is collected: the last words of a dying process, on descriptor 2, must not wait for a cell to end.
    """
    log = os.fdopen(os.dup(1), "w", encoding="utf-8")
    with tempfile.TemporaryFile(buffering=0) as printed, log:
        os.dup2(printed.fileno(), 1)

        def collect() -> None:
            _flush_c()
            printed.seek(0)
            text = printed.read().decode("utf-8", "replace")
            if text:
                sys.stdout.write(text)
                printed.seek(0)
                printed.truncate()

        try:
            with redirect_stdout(Stream("stdout", outputs, log)), redirect_stderr(Stream("stderr", outputs, log)):
                yield collect
        finally:
            os.dup2(log.fileno(), 1)


def _flush_c() -> None:
    import ctypes

    ctypes.CDLL(None).fflush(None)


def _encoded(data: dict[str, Any]) -> dict[str, Any]:
    return {kind: b64encode(value).decode() if isinstance(value, bytes) else value for kind, value in data.items()}


papermill_engines.register(NAME, InProcess)
