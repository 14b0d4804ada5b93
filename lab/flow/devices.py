"""A GPU of its own for each step that uses one: n steps at a time on n cards run on n cards."""

from __future__ import annotations

import fcntl
import os
import tempfile
import time
from pathlib import Path


def present() -> list[str]:
    """Numbers of the machine's NVIDIA devices; asks no driver, because that alone would spoil a later fork."""
    return sorted((path.name[6:] for path in Path("/dev").glob("nvidia[0-9]*") if path.name[6:].isdigit()), key=int)


def visible() -> list[str]:
    """Those that a step could use, by the names that a scheduler or a user gave them in ``CUDA_VISIBLE_DEVICES``."""
    chosen, devices = os.environ.get("CUDA_VISIBLE_DEVICES"), present()
    if chosen is None:
        return devices
    return [name.strip() for name in chosen.split(",") if name.strip() not in ("", "-1")][: len(devices)]


def lease(count: int, wait: float = 1.0) -> None:
    """Let this process see so many of the visible devices alone, and keep them from other steps until it ends; waits for
    them. On a machine without devices nothing happens. Raises RuntimeError: there are fewer."""
    names = visible()
    if names and count > len(names):
        raise RuntimeError(
            f"{count} GPUs are asked for and {len(names)} visible; set gpus in params/scales to {len(names)}"
        )
    # by job of the scheduler: each of its jobs may call its own device 0
    folder = Path(tempfile.gettempdir(), f"vidlab-devices-{os.getuid()}-{os.environ.get('SLURM_JOB_ID', '')}")
    folder.mkdir(exist_ok=True)
    while names:
        held: dict[str, int] = {}
        for name in names:
            if len(held) == count:
                break
            lock = os.open(folder / name, os.O_RDONLY | os.O_CREAT, 0o666)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                held[name] = lock  # which the system drops with the process, however it ends
            except OSError:
                os.close(lock)
        if len(held) == count:
            os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(held)
            return
        for lock in held.values():  # all or none, or two steps could wait for each other
            os.close(lock)
        time.sleep(wait)
