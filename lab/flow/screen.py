"""What the driver shows: the forecast, the progress, the failures, the scores."""

from __future__ import annotations

import csv
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from lab.flow.steps import Step


def duration(seconds: float) -> str:
    """
    >>> duration(42), duration(600), duration(9000)
    ('42 s', '10 min', '2.5 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def forecast(
    steps: Iterable[Step], pending: Iterable[Step], expected: Mapping[str, float], jobs: int, console: Console
) -> None:
    """A table: kind of step, how many there are, how many will run, how long that takes on ``jobs`` cores."""
    there, running = Counter(step.kind for step in steps), Counter(step.kind for step in pending)
    shown_only = Counter(step.kind for step in pending if step.results and step.is_made() and step.is_trained())
    table = Table("step", "in all", "to run", "expected", title="What will run", title_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
    for kind, count in there.items():
        seconds = sum(expected[step.name] for step in pending if step.kind == kind)
        note = f" ({shown_only[kind]} only shown again)" if shown_only[kind] else ""
        table.add_row(kind, str(count), f"{running[kind] or '-'}{note}", duration(seconds) if running[kind] else "")
    console.print(table)
    total = sum(expected[step.name] for step in pending)
    longest = max((expected[step.name] for step in pending), default=0.0)
    count = sum(running.values())
    console.print(
        f"{count} of {sum(there.values())} steps to run, about {duration(max(total / jobs, longest))} with {jobs} at a time."
    )


class Progress:
    """n of m steps, time left, and the newest line of each running step; plain lines where there is no terminal."""

    def __init__(self, pending: Iterable[Step], expected: Mapping[str, float], jobs: int, console: Console) -> None:
        self.left = {step.name: expected[step.name] for step in pending}
        self.total = len(self.left)
        self.jobs = jobs
        self.console = console
        self.running: dict[str, tuple[float, str]] = {}
        self.seconds: dict[str, float] = {}
        self.failed: dict[str, str] = {}
        self.live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None

    def __enter__(self) -> Progress:
        if self.live:
            self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.live:
            self.live.stop()

    def update(self, events: Iterable[Mapping[str, Any]]) -> None:
        for event in events:
            self._take(event["task"], event["event"], event)
        if self.live:
            self.live.update(self._picture(), refresh=True)

    def _take(self, task: str, kind: str, event: Mapping[str, Any]) -> None:
        if kind == "start":
            self.running[task] = (time.monotonic(), "")
        elif kind == "line" and task in self.running:
            self.running[task] = (self.running[task][0], event["text"])
        elif kind == "done":
            self.running.pop(task, None)
            self.left.pop(task, None)
            self.seconds[task] = event["seconds"]
            self.console.print(
                f"[{self.total - len(self.left):>3} of {self.total}] {task}  {duration(event['seconds'])}",
                highlight=False,
                markup=False,
            )
        elif kind == "failed":
            self.running.pop(task, None)
            self.failed[task] = event.get("text", "")
            self.console.print(
                f"[ failed  ] {task}\n{event.get('text', '')}", style="red", highlight=False, markup=False
            )

    def _picture(self) -> Group:
        done = self.total - len(self.left)
        remaining = sum(max(0.0, seconds - self._gone(name)) for name, seconds in self.left.items()) / self.jobs
        head = Table.grid(padding=(0, 1))
        head.add_row(
            ProgressBar(total=max(1, self.total), completed=done, width=30),
            f"{done} of {self.total} steps, about {duration(remaining)} left",
        )
        lines = [
            Text(f"  {name}  {duration(self._gone(name))}  {text}", no_wrap=True, overflow="ellipsis")
            for name, (_, text) in self.running.items()
        ]
        return Group(head, *lines)

    def _gone(self, name: str) -> float:
        return time.monotonic() - self.running[name][0] if name in self.running else 0.0


COLUMNS = (
    "title",
    "stage",
    "metric",
    "score",
    "low",
    "high",
    "oracle",
    "published",
    "total_seconds",
    "samples_per_second",
    "parameters",
)


def scores(file: Path, console: Console) -> None:
    """The leaderboard that the report wrote, as a table; of its columns those that fit a terminal."""
    with file.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    columns = [name for name in COLUMNS if rows and name in rows[0]] or list(rows[0] if rows else ())
    table = Table(*(name.replace("_", " ") for name in columns), title="Scores", title_justify="left")
    for row in rows:
        table.add_row(*(_short(row[name]) for name in columns))
    console.print(table)


def _short(text: str) -> str:
    """Four digits of a number are enough for a terminal; the file has all of them."""
    try:
        return text if text.isdigit() else f"{float(text):.4g}"
    except ValueError:
        return text


def make_console() -> Console:
    """Wide enough for a table when output goes to a file."""
    return Console(file=sys.stdout, width=None if sys.stdout.isatty() else 160, soft_wrap=False)
