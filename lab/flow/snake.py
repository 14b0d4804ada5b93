"""Snakemake, called in this process: what it would run and why, and what happens while it runs."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue

from lab.flow import cluster, devices, processes
from lib.runs import paths


@dataclass(frozen=True)
class Event:
    """One thing that happened.

    Args:
        kind: ``plan`` (``steps`` are all that will run), ``start`` (``text`` says why), ``done``, ``failed`` (of one step;
            ``text`` says why a scheduler did not take it, else its log does), or ``stopped`` (Snakemake could not build or run
            the graph; ``text`` says why).
    """

    kind: str
    step: str = ""
    text: str = ""
    steps: frozenset[str] = field(default=frozenset())


@dataclass(frozen=True)
class Workflow:
    """The Snakefile over the tasks that are written in a file.

    Args:
        plan: file written by :func:`lab.flow.tasks.write`. targets: steps to make, with what they need. forced: of them,
            those to run in any case. log: file for what Snakemake says. profile: how steps are handed to a scheduler; empty: they
        run here.
    """

    plan: Path
    targets: tuple[str, ...]
    log: Path
    forced: tuple[str, ...] = ()
    profile: str = ""

    def run(
        self, jobs: int = 1, *, keep_going: bool = False, dry_run: bool = False
    ) -> Generator[Event | None, None, None]:
        """Make the targets; yields events as they come, and None when a fifth of a second passed without one.

        Closing the iterator ends what runs.
        """
        events: SimpleQueue[Event] = SimpleQueue()
        # Not in the main thread, where Snakemake would take the signals for itself and wait for steps of hours to end.
        thread = threading.Thread(target=self._execute, args=(events, jobs, keep_going, dry_run), daemon=True)
        thread.start()
        try:
            while thread.is_alive() or not events.empty():
                try:
                    yield events.get(timeout=0.2)
                except Empty:
                    yield None
        finally:
            if thread.is_alive():
                processes.stop()
                thread.join(20)
            if self.profile and not dry_run:
                cluster.cancel()

    def _execute(self, events: SimpleQueue[Event], jobs: int, keep_going: bool, dry_run: bool) -> None:
        from snakemake.api import GreedySchedulerSettings, SnakemakeApi
        from snakemake.settings import types
        from snakemake.settings.enums import RerunTrigger

        there = cluster.Profile.load(self.profile) if self.profile else cluster.Profile()
        # Digests in `params` say when values, data or code changed; an edit of the Snakefile changes no result.
        triggers = frozenset({RerunTrigger.INPUT, RerunTrigger.MTIME, RerunTrigger.PARAMS})
        output = types.OutputSettings(dryrun=dry_run, enable_file_logging=False)
        graph = types.DAGSettings(
            targets=frozenset(self.targets),
            forcerun=frozenset(self.forced),
            rerun_triggers=triggers,
            force_incomplete=True,
        )
        gpus = len(devices.visible())
        execution = types.ExecutionSettings(
            keep_going=keep_going,
            lock=False,  # the driver holds a lock that ends with it; Snakemake's would outlive a kill -9
            keep_incomplete=True,  # a notebook may fail in its last figure, after hours of training that are good
            use_threads=True,  # a step has a process of its own already
            latency_wait=there.latency,
            retries=there.retries,
        )
        try:
            with SnakemakeApi(output) as api, self._told(events, there.retries):
                workflow = api.workflow(
                    types.ResourceSettings(
                        cores=jobs,
                        nodes=there.nodes,
                        default_resources=there.resources,
                        resources={"gpu": gpus} if gpus and not self.profile else {},
                    ),
                    types.ConfigSettings(config={"plan": str(self.plan)}),
                    snakefile=paths.PROJECT / "Snakefile",
                    workdir=paths.home(),
                )
                workflow.dag(graph).execute_workflow(
                    "dryrun" if dry_run else there.executor,
                    execution_settings=execution,
                    executor_settings=None if dry_run else there.settings,
                    # A step's name holds a slash, and of a step with many inputs this one becomes a file's.
                    remote_execution_settings=types.RemoteExecutionSettings(jobname="snakejob.{jobid}.sh"),
                    scheduling_settings=types.SchedulingSettings(scheduler="greedy"),
                    scheduler_settings=GreedySchedulerSettings(),
                )
        except BaseException as error:  # a failed step was told when it failed
            events.put(Event("stopped", text=str(error)))

    @contextmanager
    def _told(self, events: SimpleQueue[Event], retries: int) -> Iterator[None]:
        """Send what Snakemake says to the log and to the driver instead of the terminal."""
        from snakemake.logging import logger

        self.log.parent.mkdir(parents=True, exist_ok=True)
        file = logging.FileHandler(self.log, mode="w", encoding="utf-8")
        file.addFilter(lambda record: isinstance(record.msg, str))
        logger.handlers[:] = [file, _Events(events, retries)]
        try:
            yield
        finally:
            logger.handlers.clear()
            file.close()


class _Events(logging.Handler):
    """Turns Snakemake's records into events."""

    def __init__(self, events: SimpleQueue[Event], retries: int) -> None:
        super().__init__()
        self.events, self.retries = events, retries
        self.step: dict[int, str] = {}
        self.errors: Counter[int] = Counter()

    def emit(self, record: logging.LogRecord) -> None:
        kind, facts = getattr(record, "event", None), record.__dict__
        if kind == "run_info":
            self.events.put(Event("plan", steps=frozenset(facts["stats"]) - {"total", "all"}))
        elif kind == "job_info":
            self.step[facts["jobid"]] = facts["rule_name"]
            self.events.put(Event("start", facts["rule_name"], facts["reason"]))
        elif kind == "job_finished":
            self.events.put(Event("done", self.step[facts["job_id"]]))
        elif kind == "job_error":
            self.errors[facts["jobid"]] += 1
            if self.errors[facts["jobid"]] > self.retries:
                self.events.put(Event("failed", self.step[facts["jobid"]], facts.get("rule_msg") or ""))
