"""No process outlives the one that asked for it, even after ``kill -9``."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable


def die_with_parent(parent: int | None = None, *, before: Callable[[], None] | None = None, every: float = 0.5) -> None:
    """Start a thread that ends this process and its descendants (kernel, torchrun, its ranks) when the parent is gone.

    Polling is what works on Linux and macOS alike; a kernel's ``prctl`` would not.

    Args:
        parent: process id to hold on to; this process' parent if None.
        before: called just before the end, for example to remove a socket.
        every: seconds between two looks.
    """
    expected = os.getppid() if parent is None else parent

    def look() -> None:
        while os.getppid() == expected:
            time.sleep(every)
        kill_descendants()
        if before is not None:
            before()
        os._exit(130)

    threading.Thread(target=look, daemon=True, name="die-with-parent").start()


def kill_descendants(pid: int | None = None) -> None:
    """SIGKILL to every descendant of a process (of this one if None), children of children first found included."""
    import psutil

    try:
        family = psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return
    for process in family:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
