"""How far a run is: tqdm's bar where someone watches, else a line every ten seconds, on standard error."""

import os
import sys
from typing import Any, Literal

from tqdm import tqdm

Style = Literal["auto", "bar", "lines", "off"]
LINE = "step {n_fmt} of {total_fmt}, {elapsed} gone, {remaining} left, {rate_fmt}{postfix}\n"


def progress(steps: int, done: int, style: Style = "auto") -> tqdm:
    """
    Args:
        steps, done: total, and those an earlier process has done.
        style: "auto" is a bar on a terminal and in a notebook, else lines; the environment variable VIDLAB_PROGRESS
            (bar, lines, off) decides for runs that nobody watches.
    """
    if style == "auto":
        watched = sys.stderr.isatty() or "ipykernel" in sys.modules
        style = os.environ.get("VIDLAB_PROGRESS") or ("bar" if watched else "lines")  # type: ignore[assignment]
    counts: dict[str, Any] = {"total": steps, "initial": done, "unit": "step", "miniters": 1}
    if style == "lines":
        return tqdm(**counts, mininterval=10.0, bar_format=LINE)
    return tqdm(**counts, mininterval=0.5, dynamic_ncols=True, disable=style == "off")
