"""A warm process: imports the third-party libraries once, then forks a child for every runner and every kernel.

A notebook that imports everything starts in under a second instead of thirteen; each run still gets a process of its
own, so nothing leaks from one to the next. Rules that keep this safe:

- It imports libraries, never ``lib``: an edit of ours counts in the next run.
- Nothing here starts a thread pool or touches a GPU before forking; with a visible GPU there is no server at all.
- It listens before it imports, so early requests wait instead of starting cold.
- It ends with its parent, and a fork ends with the client that asked for it (``lab/flow/forkclient.py``).

``python -m lab.flow.forkserver FOLDER [MODULE ...]`` creates FOLDER/socket and FOLDER/kernels/python3 (a kernel specification whose
command is the client). Whoever has ``VIDLAB_ZYGOTE=FOLDER/socket`` in the environment uses it.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import runpy
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

from lab.flow.forkclient import ADDRESS
from lab.flow.watch import die_with_parent, kill_descendants

# What notebooks import, heaviest first. A library that is missing is skipped: this is a cache, not a requirement.
PRELOAD = (
    "torch", "transformers.models.bert.modeling_bert", "transformers.models.bert.tokenization_bert", "accelerate", "tokenizers",
    "safetensors.torch", "pandas", "pyarrow.parquet", "scipy.stats", "sklearn.decomposition", "sklearn.metrics", "matplotlib.pyplot",
    "matplotlib.backends.backend_svg", "matplotlib.backends.backend_agg", "seaborn", "ipykernel.kernelapp", "latex2mathml.converter",
    "IPython.core.magics", "papermill", "nbconvert", "jinja2", "yaml", "pydantic.main", "psutil", "rich.console",
)  # fmt: skip
INLINE = "module://matplotlib_inline.backend_inline"
FORKED = "VIDLAB_FORKED"


def available() -> bool:
    """Whether a fork server may run here: on Linux (macOS' frameworks dislike fork) and without a visible GPU."""
    return sys.platform == "linux" and not gpus_visible()


def gpus_visible() -> int:
    """How many NVIDIA devices a job could use; asks no driver, because that alone would spoil a later fork."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    devices = len([path for path in Path("/dev").glob("nvidia[0-9]*") if path.name[6:].isdigit()])
    if chosen is None:
        return devices
    return min(devices, len([name for name in chosen.split(",") if name.strip() not in ("", "-1")]))


@contextmanager
def warm(preload: Sequence[str] = ()) -> Iterator[subprocess.Popen | None]:
    """Keep a fork server for the length of a block and name it in ``os.environ``; do nothing where it is not available.

    Args:
        preload: what to import beforehand; PRELOAD if empty.
    """
    if not available() or os.environ.get(ADDRESS):
        yield None
        return
    folder = Path(tempfile.mkdtemp(prefix="vidlab-"))
    environment = {**os.environ, "PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}
    environment["JPY_PARENT_PID"] = "1"  # ipykernel reads it at import: "somebody else looks after my parent"
    server = subprocess.Popen(
        [sys.executable, "-m", "lab.flow.forkserver", str(folder), *preload], env=environment, start_new_session=True
    )
    try:
        _wait_for(folder / "socket", server)
        os.environ[ADDRESS] = str(folder / "socket")
        yield server
    finally:
        os.environ.pop(ADDRESS, None)
        server.terminate()
        server.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _wait_for(path: Path, server: subprocess.Popen) -> None:
    deadline = time.monotonic() + 30
    while not path.exists() and server.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)


class ForkServer:
    """Accepts requests, forks, reports exit statuses. One thread (forks copy only one), one ``select`` loop."""

    def __init__(self, folder: Path) -> None:
        self.parent = os.getppid()
        self.folder = folder
        write_kernel_specification(folder)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(str(folder / "starting"))
        self.listener.listen(128)
        os.rename(folder / "starting", folder / "socket")  # appears only when it can be connected to
        self.forks: dict[int, socket.socket] = {}
        # The server's own search path, without the working folder and PYTHONPATH: each fork puts in those of its client.
        self.path = [entry for entry in sys.path[1:] if entry not in _python_path(os.environ)]

    def serve(self) -> NoReturn:
        woken, wake = socket.socketpair()
        wake.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, lambda *_: self.stop())
        self.private = [self.listener, woken, wake]
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.listener, selectors.EVENT_READ)
        self.selector.register(woken, selectors.EVENT_READ)
        while os.getppid() == self.parent:
            for key, _ in self.selector.select(timeout=0.5):
                if key.fileobj is self.listener:
                    self.accept()
                elif key.fileobj is woken:
                    woken.recv(4096)
                    self.reap()
                else:
                    self.abandoned(key.data)
        self.stop()

    def accept(self) -> None:
        connection, _ = self.listener.accept()
        try:
            header, streams, _, _ = socket.recv_fds(connection, 4, 3)
            request = json.loads(_receive(connection, int.from_bytes(header, "big")))
        except (OSError, ValueError):
            connection.close()
            return
        pid = os.fork()
        if pid == 0:
            self.become(request, streams, connection)
        for stream in streams:
            os.close(stream)
        self.forks[pid] = connection
        self.selector.register(connection, selectors.EVENT_READ, data=pid)
        _send(connection, pid)

    def reap(self) -> None:
        while self.forks:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            connection = self.forks.pop(pid, None)
            if connection is not None:
                self.selector.unregister(connection)
                _send(connection, os.waitstatus_to_exitcode(status))
                connection.close()

    def abandoned(self, pid: int) -> None:
        """The client is gone (it never says anything more): its fork has nobody to work for."""
        self.selector.unregister(self.forks[pid])
        self.forks.pop(pid).close()
        _kill(pid)
        os.waitpid(pid, 0)

    def stop(self) -> NoReturn:
        for pid in self.forks:
            _kill(pid)
        shutil.rmtree(self.folder, ignore_errors=True)
        os._exit(0)

    def become(self, request: dict[str, Any], streams: list[int], connection: socket.socket) -> NoReturn:
        """In the fork: turn into ``python -m module arguments`` of the client and end with its exit status."""
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGCHLD, signal.SIGTERM):
                signal.signal(number, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            parent = os.getppid()
            os.setsid()
            for private in (*self.private, connection, *self.forks.values()):
                private.close()
            self.selector.close()
            for number, stream in enumerate(streams):
                os.dup2(stream, number)
                if stream > 2:
                    os.close(stream)
            os.chdir(request["folder"])
            os.environ.clear()
            os.environ.update(request["environment"])
            os.environ[FORKED] = str(os.getpid())
            die_with_parent(parent)
            _dress(request["module"], [*_python_path(os.environ), *self.path])
            status = _run(request["module"], request["arguments"])
        except BaseException:
            traceback.print_exc()
        os._exit(status)


def _dress(module: str, path: list[str]) -> None:
    """What an interpreter reads from its environment at start and the preloaded one has read already."""
    for name in [name for name in sys.modules if name.split(".")[0] in ("lib", "lab")]:
        del sys.modules[name]
    sys.path[:] = [os.getcwd(), *path]
    importlib.invalidate_caches()
    matplotlib = sys.modules.get("matplotlib")
    if matplotlib is not None:
        backend = os.environ.get("MPLBACKEND") or (INLINE if module == "ipykernel_launcher" else None)
        if backend:
            matplotlib.rcParams["backend"] = backend


def _run(module: str, arguments: list[str]) -> int:
    sys.argv = [module, *arguments]
    status: Any = 0
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as ending:
        status = ending.code if isinstance(ending.code, int) else 0 if ending.code is None else 1
        if isinstance(ending.code, str):
            print(ending.code, file=sys.stderr)
    except KeyboardInterrupt:
        status = 130
    except BaseException:
        traceback.print_exc()
        status = 1
    threading._shutdown()  # type: ignore[attr-defined]  # as multiprocessing's forks do: wait for threads, then run exit handlers
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    return status


def _kill(pid: int) -> None:
    kill_descendants(pid)
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _python_path(environment: Mapping[str, str]) -> list[str]:
    return [entry for entry in environment.get("PYTHONPATH", "").split(os.pathsep) if entry]


def _receive(connection: socket.socket, size: int) -> bytes:
    content = b""
    while len(content) < size:
        part = connection.recv(size - len(content))
        if not part:
            raise ConnectionError("the client went away")
        content += part
    return content


def _send(connection: socket.socket, value: int) -> None:
    with suppress(OSError):  # the client is gone; its closed connection is noticed by the loop
        connection.sendall(f"{value}\n".encode())


def write_kernel_specification(folder: Path) -> None:
    """``python3`` under FOLDER/kernels; found before the installed one when FOLDER leads ``JUPYTER_PATH``."""
    client = str(Path(__file__).with_name("forkclient.py"))
    argv = [sys.executable, "-S", "-E", client, "ipykernel_launcher", "-f", "{connection_file}"]
    specification = {
        "argv": argv,
        "display_name": "Python 3 (ipykernel)",
        "language": "python",
        "metadata": {"debugger": True},
    }
    target = folder / "kernels" / "python3"
    target.mkdir(parents=True, exist_ok=True)
    (target / "kernel.json").write_text(json.dumps(specification), encoding="utf-8")


def import_all(names: Sequence[str], server: ForkServer) -> None:
    for name in names:
        if os.getppid() != server.parent:
            server.stop()
        try:
            importlib.import_module(name)
        except ImportError:
            continue
    gc.collect()
    gc.freeze()  # collections in the forks leave these pages shared


def main() -> None:
    server = ForkServer(Path(sys.argv[1]))
    import_all(sys.argv[2:] or PRELOAD, server)
    server.serve()


if __name__ == "__main__":
    main()
