"""provenance.json: what made a run: commit, versions, device, parents, corpus."""

import platform
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
