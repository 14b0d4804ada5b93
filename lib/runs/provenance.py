"""provenance.json: what made a run: commit, versions, device, parents, corpus."""

from __future__ import annotations

import platform
import resource
import subprocess
import sys
from importlib.metadata import version
from typing import Any

from lib.runs.paths import PROJECT

PACKAGES = ("torch", "transformers", "timm", "accelerate", "numpy", "scipy", "scikit-learn", "pandas")


def collect(**extra: Any) -> dict[str, Any]:
    """Facts about code and machine, without paths or names of the machine; ``extra`` adds parents, corpus and the like."""
    return {
        "commit": _git("rev-parse", "--short=12", "HEAD"),
        "dirty": bool(_git("status", "--porcelain", "--", "lib", "params", "notebooks")),
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "packages": {name: version(name) for name in PACKAGES},
        **extra,
    }


def peak_rss_mb() -> float:
    """Largest resident memory of this process so far, in MB (kilobytes on Linux, bytes on macOS)."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1e6 if sys.platform == "darwin" else 1e3), 1)


def _git(*arguments: str) -> str:
    try:
        return subprocess.run(["git", *arguments], cwd=PROJECT, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
