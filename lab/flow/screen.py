"""What the driver shows: the forecast, the progress, the failures, the scores."""

from __future__ import annotations

import csv
import math
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from lab.flow import forecast, processes
from lab.flow.forecast import MANY
from lab.flow.notebook import FAILED
from lab.flow.snake import Event
from lab.flow.tasks import Task, tasks_of
from lab.show.formats import plural
from lab.show.plan import Plan
from lib.recipes.load import load
from lib.recipes.specs import STAGE_NOTEBOOKS, Scale
from lib.runs import paths

REASONS, WIDTH = 12, 100  # steps of a dry run that are shown with their reason, and its characters


def duration(seconds: float) -> str:
    """
    >>> duration(42), duration(600), duration(9000)
    ('42 s', '10 min', '2.5 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def totals(
    tasks: Iterable[Task], pending: Iterable[Task], expected: Mapping[str, float], jobs: int, console: Console
) -> None:
    """A table: kind of step, how many there are, how many will run, how long that takes on ``jobs`` cores."""
    pending = list(pending)
    there, running = Counter(task.rule for task in tasks), Counter(task.rule for task in pending)
    shown_only = Counter(t.rule for t in pending if t.rule in STAGE_NOTEBOOKS and t.is_made() and not t.is_foreign())
    table = Table("step", "in all", "to run", "expected", title="What will run", title_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
    for kind, count in there.items():
        seconds = sum(expected[task.step] for task in pending if task.rule == kind)
        note = f" ({shown_only[kind]} only shown again)" if shown_only[kind] else ""
        table.add_row(kind, str(count), f"{running[kind] or '-'}{note}", duration(seconds) if running[kind] else "")
    console.print(table)
    total = sum(expected[task.step] for task in pending)
    longest = max((expected[task.step] for task in pending), default=0.0)
    console.print(
        f"{len(pending)} of {sum(there.values())} steps to run, about {duration(max(total / jobs, longest))} with {jobs} at a time."
    )


def plan(depths: Sequence[Plan], expect: Callable[[list[Task]], dict[str, float]], jobs: int, console: Console) -> None:
    """What each depth costs, and what each question of the deepest costs and can show.

    Args:
        depths: the plans, the least deep first. expect: seconds by step.
    """
    expected: dict[str, float] = {}
    card = load(Scale, depths[-1].scale).device.card
    one_of = "card" if card else "core"
    totals = Table("depth", "systems", "questions", "trainings", f"hours of one {one_of}", f"with {jobs} at a time")
    for one in depths:
        expected = expect(tasks_of(one))
        seconds = sum(expected.values())
        row = (one.depth, len(one.systems), len(one.ablations), len(one.jobs), f"{seconds / 3600:.1f}")
        totals.add_row(*map(str, row), duration(seconds / jobs))
    table = Table(
        "question", "seeds", "trainings of its own", f"minutes of one {one_of}", "visible", "claimed", "would need"
    )
    for row in forecast.questions(depths[-1], expected):
        visible, claimed = ("-" if row[key] is None else f"{row[key]:.2g}" for key in ("visible", "claimed"))
        needed = "-" if row["needed"] is None else f"more than {MANY}" if row["needed"] > MANY else row["needed"]
        cost = (row["seeds"], row["jobs"], f"{row['minutes']:.1f}", visible, claimed, needed)
        table.add_row(row["question"], *map(str, cost))
    for shown in (table, totals):
        for column in shown.columns[1:]:
            column.justify = "right"
        console.print(shown)
    console.print(
        "Visible: smallest effect that so many seeds would show four times out of five, by the newest report. "
        "Would need: so many seeds to show the smallest effect that was claimed."
    )
    if card:
        on_cards(depths[-1], card, console)


def on_cards(plan: Plan, card: str, console: Console) -> None:
    """What each system's trainings cost on a card, and how long some cards take for all that a plan asks for."""
    from lab.show import cost  # loads torch

    found, known = cost.costs(plan.jobs, card)
    table = Table("recipe", "stage", "arms and seeds", f"hours of an {card}, each", "all", "GB of memory", "GB of disk")
    groups: dict[tuple[str, str], list[cost.Cost]] = {}
    for stage_of in (lambda job: job.stage, lambda job: "in all"):
        for job in plan.jobs:
            groups.setdefault((job.recipe, stage_of(job)), []).append(found[job.folder.path])
    for (recipe, stage), group in sorted(groups.items(), key=lambda of: of[0][0]):
        hours, most = [one.hours for one in group], f"{max(one.memory for one in group):.1f}"
        each = f"{min(hours):.2f} to {max(hours):.2f}" if len(group) > 1 else f"{hours[0]:.2f}"
        disk = f"{sum(one.disk for one in group):.1f}"
        table.add_row(recipe, stage, str(len(group)), each, f"{sum(hours):.1f}", most, disk)
    for column in table.columns[2:]:
        column.justify = "right"
    console.print(table)
    hours = {path: one.hours for path, one in found.items()}
    waits = ", ".join(f"{cards}: {cost.wait(plan.jobs, hours, cards):.1f} h" for cards in (1, 4, 8))
    console.print(
        f"{sum(hours.values()):.1f} hours of an {card} ({known}), without decoding. Cards and how long they take: {waits}."
    )


class Progress:
    """n of m steps, time left, and the newest line of each running step; plain lines where there is no terminal."""

    def __init__(self, steps: Iterable[Task], expected: Mapping[str, float], jobs: int, console: Console) -> None:
        self.tasks = {task.step: task for task in steps}
        self.expected, self.jobs, self.console = expected, jobs, console
        self.pending: set[str] = set()
        self.left: set[str] = set()
        self.started: dict[str, float] = {}
        self.seconds: dict[str, float] = {}
        self.failed: list[str] = []
        self.reasons: dict[str, str] = {}  # step -> why it would run
        self.stopped = ""
        self.interrupted = False

    def watch(self, events: Iterable[Event | None], *, dry_run: bool, until: float = math.inf) -> None:
        """Show events as they come; of a dry run, which steps would run and why.

        Args:
            until: time of ``time.monotonic`` at which what still runs is ended and nothing else begins.
        """
        with Live(console=self.console, auto_refresh=False, transient=True) as live:
            for event in events:
                if time.monotonic() > until and not self.interrupted:
                    self.interrupted = True
                    self._say("It is time for a report; what was running begins again afterwards.")
                    processes.interrupt()
                if event is not None and event.kind == "start" and dry_run:
                    self.reasons[event.step] = event.text.split("\n")[0].replace(
                        "Forced execution", "not as its run left it"
                    )
                elif event is not None:
                    self._take(event)
                if self.console.is_terminal:
                    live.update(self._picture(), refresh=True)

    def _take(self, event: Event) -> None:
        if event.kind == "plan" and not self.pending:  # a dry run says it twice
            self.pending, self.left = set(event.steps), set(event.steps)
            pending = [task for task in self.tasks.values() if task.step in self.pending]
            totals(self.tasks.values(), pending, self.expected, self.jobs, self.console)
        elif event.kind == "stopped":
            self.stopped = event.text
        elif event.kind == "start":
            self.started[event.step] = time.monotonic()
        elif event.kind == "done":
            self.left.discard(event.step)
            gone = self.seconds[event.step] = round(self._gone(event.step), 2)
            count = f"[{len(self.pending) - len(self.left):>3} of {len(self.pending)}]"
            self._say(f"{count} {event.step}  {duration(gone)}")
        elif event.kind == "failed" and not self.interrupted:
            self.failed.append(event.step)
            why = event.text or last_words(paths.home() / self.tasks[event.step].log)
            self._say(f"[ failed  ] {event.step}\n{why}", "red")
        if event.kind in ("done", "failed"):
            self.started.pop(event.step, None)

    def close(self, hint: str) -> int:
        """The last lines; returns the exit status."""
        for step, reason in islice(self.reasons.items(), REASONS):
            self._say(f"  {step}  ({reason[:WIDTH]})")
        if len(self.reasons) > REASONS:
            self._say(f"  and {len(self.reasons) - REASONS} more")
        if self.failed:
            waiting = len(self.left) - len(self.failed)
            failed, them = plural(len(self.failed), "step"), "it" if len(self.failed) == 1 else "them"
            self._say(f"{failed} failed; waiting for {them} or not started: {waiting}. Logs:", "red")
            for name in self.failed:
                self._say(f"  {self.tasks[name].log}")
            self._say(f"The same command goes on from here.{hint}")
        elif not self.pending:
            self._say(f"Nothing to do: all {len(self.tasks)} steps are up to date.")
        return int(bool(self.failed))

    def _say(self, text: str, style: str | None = None) -> None:
        self.console.print(text, style=style, highlight=False, markup=False, soft_wrap=True)

    def _picture(self) -> Group:
        done = len(self.pending) - len(self.left)
        remaining = sum(max(0.0, self.expected[name] - self._gone(name)) for name in self.left) / self.jobs
        head = Table.grid(padding=(0, 1))
        bar = ProgressBar(total=max(1, len(self.pending)), completed=done, width=30)
        head.add_row(bar, f"{done} of {len(self.pending)} steps, about {duration(remaining)} left")
        lines = []
        for name in self.started:
            said = newest_line(paths.home() / self.tasks[name].log)
            text = f"  {name}  {duration(self._gone(name))}  {said}"
            lines.append(Text(text, no_wrap=True, overflow="ellipsis"))
        return Group(head, *lines)

    def _gone(self, name: str) -> float:
        return time.monotonic() - self.started[name] if name in self.started else 0.0


def newest_line(log: Path) -> str:
    """What a running step said last; of a progress bar its last state."""
    lines = [line.strip() for line in _end(log).replace("\r", "\n").splitlines()]
    return next((line[:200] for line in reversed(lines) if line), "")


def last_words(log: Path) -> str:
    """Why a step failed: from the line that says so, else its last lines."""
    text = _end(log)
    at = text.rfind(f"\n{FAILED}")
    traceback = text[:at].strip().splitlines()[-1:] if "python -m" in text[at : at + 30] else []
    return "\n".join([*traceback, text[at:].strip()])


def _end(log: Path, size: int = 8192) -> str:
    try:
        with log.open("rb") as stream:
            stream.seek(max(0, log.stat().st_size - size))
            return "\n" + stream.read().decode("utf-8", "replace")
    except OSError:
        return "\n"


COLUMNS = ("title", "stage", "metric", "score", "low", "high", "oracle", "published", "total_seconds",
           "samples_per_second", "parameters")  # fmt: skip


def scores(file: Path, console: Console, *, own: bool = False) -> None:
    """The leaderboard that the report wrote, as a table; of its columns those that fit a terminal. ``own``: of a corpus that
    no published score can be compared with."""
    with file.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    columns = [name for name in COLUMNS if rows and name in rows[0] and not (own and name == "published")]
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
    """Wide enough for a table when output goes to a file or a notebook, whose kernel claims to be a terminal."""
    watched = sys.stdout.isatty()
    return Console(file=sys.stdout, force_terminal=watched, width=None if watched else 160)
