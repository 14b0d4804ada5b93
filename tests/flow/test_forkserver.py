"""A fork behaves like the process it stands in for."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from lab.flow import forkclient
from lab.flow.forkserver import available, gpus_visible, warm

pytestmark = pytest.mark.skipif(not available(), reason="the fork server runs on Linux without a visible GPU only")

PROBE = """
import json, os, signal, sys, threading, time
what = sys.argv[1]
if what == "facts":
    import lab.flow
    facts = {
        "argv": sys.argv[1:], "cwd": os.getcwd(), "path": sys.path[:2], "name": __name__, "flavour": os.environ["FLAVOUR"],
        "stdin": sys.stdin.read(), "lib": "lib.recipes" in sys.modules, "session": os.getsid(0) == os.getpid(),
        "descriptors": sorted(int(d) for d in os.listdir("/proc/self/fd"))[:3],
        "sockets": sum("socket" in os.readlink(f"/proc/self/fd/{d}") for d in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{d}")),
    }
    print(json.dumps(facts))
    print("to the error stream", file=sys.stderr)
elif what == "exit":
    sys.exit(int(sys.argv[2]))
elif what == "message":
    sys.exit("a sentence")
elif what == "raise":
    raise ValueError("on purpose")
elif what == "signal":
    os.kill(os.getpid(), int(sys.argv[2]))
    time.sleep(10)
elif what == "thread":
    threading.Thread(target=lambda: (time.sleep(0.3), print("late", flush=True))).start()
elif what == "interrupt":
    try:
        print("ready", flush=True)  # inside: the signal comes as soon as this is read
        time.sleep(30)
    except KeyboardInterrupt:
        sys.exit(5)
elif what == "sleep":
    print(os.getpid(), flush=True)
    time.sleep(100)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("probe")
    (path / "probe_module.py").write_text(PROBE)
    return path


def command(*words: str) -> list[str]:
    return [sys.executable, "-S", "-E", forkclient.__file__, "probe_module", *words]


def run(folder: Path, *words: str, plain: bool = False, **options) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHONPATH": str(folder), "FLAVOUR": "mint"}
    argv = [sys.executable, "-m", "probe_module", *words] if plain else command(*words)
    return subprocess.run(
        argv, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False, **options
    )


def test_arguments_streams_folder_and_environment(folder, warm_process):
    forked, plain = (run(folder, "facts", "b c", plain=plain, input="hello") for plain in (False, True))
    assert forked.returncode == plain.returncode == 0, forked.stderr
    assert forked.stderr == plain.stderr == "to the error stream\n"
    ours, theirs = json.loads(forked.stdout), json.loads(plain.stdout)
    assert ours.pop("session") and not theirs.pop("session")
    assert ours.pop("sockets") == 0, "the server's own connections are closed"
    theirs.pop("sockets")
    assert ours == theirs


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("exit", "0"), 0),
        (("exit", "7"), 7),
        (("message",), 1),
        (("raise",), 1),
        (("signal", "9"), -9),
        (("signal", "15"), -15),
        (("thread",), 0),
    ],
)
def test_exit_status(folder, warm_process, words, status):
    forked, plain = run(folder, *words), run(folder, *words, plain=True)
    assert forked.returncode == plain.returncode == status
    assert forked.stdout == plain.stdout
    assert forked.stderr.splitlines()[-1:] == plain.stderr.splitlines()[-1:]


def test_signals_are_passed_on(folder, warm_process):
    client = subprocess.Popen(
        command("interrupt"), env={**os.environ, "PYTHONPATH": str(folder)}, stdout=subprocess.PIPE, text=True
    )
    assert client.stdout.readline() == "ready\n"
    client.send_signal(signal.SIGINT)
    assert client.wait(timeout=20) == 5


def test_a_fork_ends_with_its_client(folder, warm_process):
    client = subprocess.Popen(
        command("sleep"), env={**os.environ, "PYTHONPATH": str(folder)}, stdout=subprocess.PIPE, text=True
    )
    fork = int(client.stdout.readline())
    client.kill()
    client.wait()
    _wait_for_end(fork)


def test_forks_end_with_the_server(folder, monkeypatch):
    monkeypatch.delenv("VIDLAB_ZYGOTE", raising=False)
    with warm(("json",)) as server:
        client = subprocess.Popen(
            command("sleep"), env={**os.environ, "PYTHONPATH": str(folder)}, stdout=subprocess.PIPE, text=True
        )
        fork = int(client.stdout.readline())
        server.kill()
        server.wait()
        _wait_for_end(fork)
        assert client.wait(timeout=20) == 1
    assert "VIDLAB_ZYGOTE" not in os.environ


def test_the_server_ends_with_its_parent(tmp_path):
    """Even when the parent is killed without a chance to clean up."""
    script = "from lab.flow.forkserver import warm\nimport os, time\nwith warm(('json',)) as server:\n    print(server.pid, os.environ['VIDLAB_ZYGOTE'], flush=True)\n    time.sleep(100)\n"
    environment = {name: value for name, value in os.environ.items() if name != "VIDLAB_ZYGOTE"}
    parent = subprocess.Popen([sys.executable, "-c", script], env=environment, stdout=subprocess.PIPE, text=True)
    pid, socket = parent.stdout.readline().split()
    time.sleep(0.5)
    parent.kill()
    parent.wait()
    _wait_for_end(int(pid))
    assert not Path(socket).parent.exists()


def test_without_a_server_the_client_starts_plainly(folder, monkeypatch):
    monkeypatch.setenv("VIDLAB_ZYGOTE", str(folder / "no such socket"))
    assert run(folder, "exit", "7").returncode == 7
    assert forkclient.run("probe_module", []) is None


def test_libraries_are_shared_and_ours_is_read_anew(folder, warm_process):
    """The server holds papermill but never lib: an edit of ours counts in the next run."""
    (folder / "probe_modules.py").write_text(
        "import sys\nprint('papermill' in sys.modules, [m for m in sys.modules if m.startswith('lib')])\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    argv = [sys.executable, "-S", "-E", forkclient.__file__, "probe_modules"]
    assert subprocess.run(argv, env=environment, capture_output=True, text=True, check=True).stdout == "True []\n"


def test_hidden_gpus_do_not_count(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert gpus_visible() == 0
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert gpus_visible() == 0


def _wait_for_end(pid: int) -> None:
    deadline = time.monotonic() + 10
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, f"process {pid} lives on"
        time.sleep(0.1)
