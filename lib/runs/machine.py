"""What of the machine a process may use, and provenance.json: what made a run: commit, versions, device, parents, corpus."""

import ctypes
import os
import platform
import re
import resource
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

from lib.runs.paths import PROJECT

UNKNOWN = "unknown"  # without git, or without a repository of our own (one further up knows nothing of us)
PACKAGES = ("torch", "transformers", "timm", "accelerate", "numpy", "scipy", "scikit-learn", "pandas")


def collect(**extra: Any) -> dict[str, Any]:
    """Facts about code and machine, without paths or names of the machine; ``extra`` adds parents, corpus and the like."""
    changes = _git("status", "--porcelain", "--", ".", ":!reports", ":!docs", ":!*.md")
    return {
        "commit": _git("rev-parse", "--short=12", "HEAD"),
        "dirty": None if changes == UNKNOWN else bool(changes),
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "packages": {name: version(name) for name in PACKAGES},
        **extra,
    }


def peak_rss_mb() -> float:
    """Largest resident memory of this program so far, in MB. Linux counts what the process held before it started this
    program (``exec``) into ``ru_maxrss``, but not into ``VmHWM``. Where there is no ``/proc``, ``ru_maxrss`` is in
    bytes (macOS)."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        return round(int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e6, 1)
    except (OSError, IndexError):
        return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 1)


def _git(*words: str) -> str:
    try:
        return subprocess.run(
            ["git", "--git-dir=.git", *words], cwd=PROJECT, capture_output=True, text=True, check=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return UNKNOWN


def cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def keep_memory() -> None:
    """Have glibc keep up to 1 GiB that tensors gave back: the same pages anew, one fault each, take longer than a small CNN."""
    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None):
        mallopt(-1, 1 << 30)  # M_TRIM_THRESHOLD
        mallopt(-3, 1 << 25)  # M_MMAP_THRESHOLD, the most it takes


def processor() -> str:
    """The processor as the operating system calls it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists() and (found := re.search(r"model name\s*: (.+)", cpuinfo.read_text(encoding="utf-8"))):
        return found[1].strip()
    return platform.processor() or platform.machine()


# Dense bf16 matrix products (operations per second) and memory (bytes per second), from the makers' data sheets.
CARDS = {
    "H200": (989.4e12, 4.8e12),
    "H100 PCIe": (756e12, 2.0e12),
    "H100": (989.4e12, 3.35e12),
    "A100": (312e12, 1.555e12),
    "L40S": (362e12, 0.864e12),
    "A10": (125e12, 0.6e12),
    "4090": (165.2e12, 1.008e12),
}


def card(name: str) -> tuple[float, float] | None:
    """Peak and bandwidth of a card by a part of its name; None for one that is not in the table."""
    return next((value for part, value in CARDS.items() if part in name), None)
