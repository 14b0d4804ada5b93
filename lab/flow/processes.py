"""Each step in a process of its own, that starts warm where it can, and that ends with the one that asked for it.

The standard library's fork server imports the third-party libraries once; a step that is forked from it starts in a
second instead of thirteen. It imports nothing of ``lib`` or ``lab``: an edit counts in the next step. With a visible GPU
(CUDA does not survive a fork) and on macOS (neither do its frameworks) every step starts an interpreter of its own.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from tqdm import tqdm

from lab.flow import devices

# Set before the libraries are loaded. The thread count is part of a result (1 and 2 threads give different weights), and
# waiting OpenMP threads that spin slow a busy machine down tenfold. The C library must not hand a training step's large
# blocks back to the system only to ask for them again in the next one: a tenth of a job's time went into clearing pages.
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "passive",
    "MALLOC_MMAP_THRESHOLD_": str(2**30),
    "MALLOC_TRIM_THRESHOLD_": str(2**32),
    "TOKENIZERS_PARALLELISM": "false",
    "PYTHONHASHSEED": "0",
}
# What notebooks import, heaviest first. A library that is missing is skipped: this is a cache, not a requirement.
PRELOAD = (
    "torch", "transformers.models.bert.modeling_bert", "transformers.models.bert.tokenization_bert", "accelerate", "tokenizers",
    "safetensors.torch", "pandas", "pyarrow.parquet", "scipy.stats", "sklearn.decomposition", "sklearn.metrics", "matplotlib.pyplot",
    "matplotlib.backends.backend_svg", "matplotlib_inline.backend_inline", "seaborn", "IPython.core.magics", "papermill",
    "nbconvert", "jinja2", "yaml", "pydantic.main", "psutil", "rich.console",
)  # fmt: skip
SAVING = 20  # seconds between being told to end and being killed
_one_at_a_time = threading.Lock()
_stopping = threading.Event()
_running: set[int] = set()  # leaders of process groups


def start_method() -> str:
    """ "forkserver" where it is safe and its socket finds a folder with a short name, else "spawn"."""
    return "forkserver" if sys.platform == "linux" and not devices.visible() and _socket_folder() else "spawn"


def _socket_folder() -> str | None:
    """The first folder whose name leaves room in a socket's address of some hundred characters."""
    for folder in (tempfile.gettempdir(), "/tmp", "/dev/shm"):
        if len(os.fsencode(folder)) < 60 and os.access(folder, os.W_OK):
            return folder
    return None


def run(work: Callable[..., int | None], arguments: tuple[Any, ...], log: Path, gpus: int = 0) -> int:
    """Call ``work(*arguments)`` in a process of its own and wait for it. Threads may call this side by side.

    Args:
        work: a function of a module; what it returns is the exit status. log: file that everything printed is added to.
        gpus: how many devices it has for itself; it sees no other.

    Returns:
        The exit status, negative for the signal that ended the process.
    """
    if _stopping.is_set():
        return -signal.SIGTERM
    context: Any = multiprocessing.get_context(start_method())
    process = context.Process(target=_begin, args=(work, arguments, str(log.absolute()), dict(os.environ), gpus))
    with _one_at_a_time:  # a start also looks after processes that have ended, and two must not read one exit status
        _start(context, process)
        _running.add(process.pid)
    wait([process.sentinel])
    with _one_at_a_time:
        process.join()
        _running.discard(process.pid)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)  # what a process left behind that could not clean up itself
    return process.exitcode


def _start(context: Any, process: Any) -> None:
    if context.get_start_method() == "forkserver":
        context.set_forkserver_preload(list(PRELOAD))
        usual, tempfile.tempdir = tempfile.tempdir, _socket_folder()
        try:
            process.start()
        finally:
            tempfile.tempdir = usual
    else:
        process.start()


def stop() -> None:
    """End every process of :func:`run` and start no other, for a driver that is about to leave. Those that train are told
    first, and save."""
    import psutil

    _stopping.set()
    every = psutil.Process().children(recursive=True)  # known before a leader ends and leaves its own behind
    told = [process for process in every if process.pid in _running]
    for process in told:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    psutil.wait_procs(told, timeout=SAVING)
    for process in every:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def interrupt() -> None:
    """End what runs and start nothing else until :func:`go_on`; the warm libraries stay."""
    _stopping.set()
    with _one_at_a_time:
        for leader in _running:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(leader, signal.SIGKILL)


def go_on() -> None:
    """Take back :func:`interrupt`."""
    _stopping.clear()


def _begin(
    work: Callable[..., int | None], arguments: tuple[Any, ...], log: str, environment: dict[str, str], gpus: int
) -> None:  # fmt: skip
    """In the new process: its own session, the log as its output, and no life without its parent."""
    os.environ.clear()
    os.environ.update(environment)
    os.setsid()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    for stream, number in ((sys.stdout, 1), (sys.stderr, 2)):
        os.dup2(file, number)
        stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)  # type: ignore[attr-defined]
    os.close(file)
    parent = multiprocessing.parent_process()
    assert parent is not None
    _leave_when(lambda: wait([parent.sentinel]))
    # A bar's own lock is a semaphore with a name, of which the driver would warn when the job is killed.
    tqdm.set_lock(threading.RLock())
    try:
        devices.lease(gpus)
        sys.exit(work(*arguments))
    finally:
        kill_descendants()


def die_with_parent() -> None:
    """End this process and all that it started when its parent is gone; polling works on Linux and macOS alike."""
    parent = os.getppid()
    _leave_when(lambda: os.getppid() != parent or time.sleep(0.5))


def _leave_when(gone: Callable[[], object]) -> None:
    def look() -> None:
        while not gone():
            pass
        kill_descendants()
        os._exit(130)

    threading.Thread(target=look, daemon=True, name="leave-with-parent").start()


def kill_descendants() -> None:
    """SIGKILL to every descendant of this process, children of children included."""
    import psutil

    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            process.kill()
