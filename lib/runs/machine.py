"""What of the machine a process may use."""

import ctypes
import os
import platform
import re
from pathlib import Path


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
