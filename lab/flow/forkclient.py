"""Run a module in a fork of the warm process (``lab/flow/forkserver.py``) as if it ran here.

Standard library only, and no import of ``lib``: it also runs by path under ``python -S -E``, as the stand-in for
``python -m ipykernel_launcher`` in the kernel specification, where every import would cost what the fork saves.

Standard input, output and error, environment, working folder and arguments go along; signals are passed on; the exit
status comes back. When this process dies, the server sees the connection close and kills the fork.
"""

import contextlib
import json
import os
import signal
import socket
import sys

PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGCONT)
ADDRESS = "VIDLAB_ZYGOTE"


def run(module, arguments):
    """Run ``python -m module arguments`` in a fork and wait for it.

    Args:
        module (str): dotted name. arguments (list of str): what follows it on the command line.

    Returns:
        int or None: exit status, negative for the signal that ended the fork; None if no server could be reached, in
        which case nothing has run.
    """
    address = os.environ.get(ADDRESS)
    if not address:
        return None
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(address)
        request = {"module": module, "arguments": arguments, "environment": dict(os.environ), "folder": os.getcwd()}
        message = json.dumps(request).encode("utf-8", "surrogateescape")
        socket.send_fds(connection, [len(message).to_bytes(4, "big")], _standard_streams())
        connection.sendall(message)
        pid = _receive(connection)
    except OSError:
        pid = None
    if pid is None:
        connection.close()
        return None
    for number in PASSED_ON:
        signal.signal(number, lambda received, _: _pass_on(pid, received))
    status = _receive(connection)
    return 1 if status is None else status


def leave(status):
    """End this process as the fork ended: with its exit status or by the same signal."""
    if status < 0 and -status != signal.SIGKILL:
        signal.signal(-status, signal.SIG_DFL)
    if status < 0:
        os.kill(os.getpid(), -status)
    os._exit(status)


def _receive(connection):
    """One integer line from the server; None when it is gone. Leaves when this process' own parent is gone."""
    parent, line = os.getppid(), b""
    connection.settimeout(0.5)
    while not line.endswith(b"\n"):
        try:
            received = connection.recv(1)
        except TimeoutError:
            if os.getppid() != parent:
                os._exit(130)
            continue
        except OSError:
            return None
        if not received:
            return None
        line += received
    return int(line)


def _pass_on(pid, number):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _standard_streams():
    """Descriptors 0, 1 and 2; a closed one is replaced by the null device, as the fork needs three."""
    streams = []
    for number in range(3):
        try:
            os.fstat(number)
            streams.append(number)
        except OSError:
            streams.append(os.open(os.devnull, os.O_RDWR))
    return streams


if __name__ == "__main__":
    outcome = run(sys.argv[1], sys.argv[2:])
    if outcome is None:  # no server: start plainly
        os.execv(sys.executable, [sys.executable, "-m", *sys.argv[1:]])
    leave(outcome)
