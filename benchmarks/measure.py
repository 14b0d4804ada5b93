"""Timing two ways of doing the same thing on a machine that is not quiet, and keeping what came out."""

from __future__ import annotations

import itertools
import json
import os
import platform
import re
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from lib.runs.machine import processor

RESULTS = Path(__file__).parent / "results"


def device_name(device: str = "cpu") -> str:
    """The card, or the processor as the operating system calls it, with the cores and threads in use; of a name itself."""
    if device == "cuda":
        return torch.cuda.get_device_name()
    if device != "cpu":
        return device
    return f"{processor()}, {os.cpu_count()} cores, {torch.get_num_threads()} thread"


def seconds(work: Callable[[], int], device: str = "cpu") -> float:
    """Seconds per item: ``work`` returns how many it has done. Waits for the device on both sides."""
    _wait(device)
    started = time.perf_counter()
    items = work()
    _wait(device)
    return (time.perf_counter() - started) / items


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def race(ours: Callable[[], int], naive: Callable[[], int], *, rounds: int, device: str = "cpu") -> dict[str, Any]:
    """Measure both in turns, so that a busy moment hits both; after one round each that does not count.

    Returns:
        items per second (median), their range, and the ratio: the median of the rounds' own ratios.
    """
    _ = seconds(ours, device), seconds(naive, device)  # warm caches and allocator
    pairs = [(seconds(ours, device), seconds(naive, device)) for _ in range(rounds)]
    rates = {name: [1 / pair[side] for pair in pairs] for side, name in enumerate(("ours", "naive"))}
    ratios = [pair[1] / pair[0] for pair in pairs]
    return {
        **{f"{name}_per_second": round(statistics.median(values), 1) for name, values in rates.items()},
        **{f"{name}_range": [round(min(values), 1), round(max(values), 1)] for name, values in rates.items()},
        "ratio": round(statistics.median(ratios), 2),
        "ratio_range": [round(min(ratios), 2), round(max(ratios), 2)],
        "rounds": rounds,
    }


def keep(name: str, device: str, rows: list[dict[str, Any]], about: dict[str, Any]) -> Path:
    """Write ``results/<name>-<device>.json`` and put all results into the table ``results/README.md``."""
    title = device_name(device)
    slug = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}-{slug}.json"
    versions = {"python": platform.python_version(), "torch": torch.__version__}
    content = {"benchmark": name, "device": title, "versions": versions, "about": about, "rows": rows}
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (RESULTS / "README.md").write_text(table(), encoding="utf-8")
    return path


def table() -> str:
    """All results as Markdown."""
    lines = [
        "# Benchmarks",
        "",
        "Written by `make bench`; what the columns mean is in the docstrings of `benchmarks/`.",
        "",
    ]
    for path in sorted(RESULTS.glob("*.json")):
        content = json.loads(path.read_text(encoding="utf-8"))
        lines += [f"## {content['benchmark']} on {content['device']}", ""]
        lines += [", ".join(f"{key} {value}" for key, value in (content["versions"] | content["about"]).items()), ""]
        for columns, rows in itertools.groupby(content["rows"], key=tuple):
            lines += [
                "| " + " | ".join(column.replace("_", " ") for column in columns) + " |",
                "|" + " --- |" * len(columns),
            ]
            lines += ["| " + " | ".join(_shown(row[column]) for column in columns) + " |" for row in rows]
            lines.append("")
    return "\n".join(lines)


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return " to ".join(_shown(item) for item in value)
    return f"{value:,}" if isinstance(value, int | float) and not isinstance(value, bool) else str(value)
