"""Steps as jobs of a scheduler, by a profile of Snakemake's in ``profiles/``; files lie where all nodes see them."""

from __future__ import annotations

import subprocess
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from lib.recipes.code_digest import digest
from lib.recipes.errors import RecipeError, require
from lib.runs import paths

PROFILES = paths.PROJECT / "profiles"
PAUSE = 5  # seconds between two questions to a controller that does not answer
LOST = 60  # seconds until a job that the controller does not know counts as lost; a submission shows much sooner


@dataclass(frozen=True)
class Profile:
    """How jobs are handed to a scheduler. ``executor``: what Snakemake calls it; ``settings``: of its plugin; ``nodes``: how
    many jobs at a time; ``resources``: of a job that asks for none; ``latency``: seconds in which a file may come late;
    ``retries``: how often a job that ended without what it was to make is handed over again."""

    executor: str = "local"
    settings: Any = None
    nodes: int | None = None
    resources: Any = None
    latency: int = 3
    retries: int = 0

    @classmethod
    def load(cls, name: str) -> Profile:
        """Raises RecipeError: there is no such profile."""
        from snakemake.cli import parse_args
        from snakemake_interface_executor_plugins.registry import ExecutorPluginRegistry

        check(name)
        _, given = parse_args(["--profile", str(PROFILES / name), "--slurm-jobname-prefix", jobs_of_this_home()])
        plugin: Any = ExecutorPluginRegistry().get_plugin(given.executor)
        settings = plugin.get_settings(given)
        if given.executor == "slurm":
            plugin.executor = _outlasting_controllers()
        return cls(given.executor, settings, given.jobs, given.default_resources, given.latency_wait, given.retries)


def jobs_of_this_home() -> str:
    """What the names of its jobs begin with."""
    return f"vidlab-{digest([str(paths.home())])[:8]}"


def check(name: str) -> None:
    """Raises RecipeError: there is no such profile."""
    require(name, sorted(path.name for path in PROFILES.glob("[!.]*")), "PROFILE")


def has_gpus() -> bool:
    """Whether any node counts GPUs among what it offers; jobs that ask for some would be refused where none does. Raises
    RecipeError: no controller answers."""
    try:
        listed = subprocess.run(["sinfo", "--noheader", "--format=%G"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        why = " ".join((getattr(error, "stderr", None) or str(error)).split())
        raise RecipeError(f"PROFILE: Slurm does not answer here ({why}); leave PROFILE out to run without it") from None
    return "gpu" in listed.stdout


def cancel() -> None:
    """End the jobs of this folder that a driver has left behind, or a killed one, before another submits them again."""
    jobs = [line.split()[0] for line in _queue() or () if line.split()[1].startswith(jobs_of_this_home())]
    if jobs:
        subprocess.run(["scancel", *jobs], check=True)


def _queue(*options: str) -> list[str] | None:
    """Id and name of the user's jobs, a line each; None if the controller does not answer."""
    asked = ["squeue", "--me", "--noheader", "--format=%A %j", *options]
    listed = subprocess.run(asked, capture_output=True, text=True)
    return None if listed.returncode else listed.stdout.splitlines()


def _outlasting_controllers() -> type:
    """Snakemake's executor, which goes on with a controller that comes back: by itself (2.8) it forgets all of its jobs when
    nothing answers, waits for ever for one that was lost with the controller, and fails what it submits meanwhile."""
    from snakemake_executor_plugin_slurm import Executor, SubmittedJobInfo

    unknown: dict[str | None, float] = {}  # job -> since when

    class Patient(Executor):
        def run_job(self, job: Any) -> None:
            while _queue() is None:
                time.sleep(PAUSE)
            super().run_job(job)

        async def check_active_jobs(self, active_jobs: list[SubmittedJobInfo]) -> AsyncIterator[SubmittedJobInfo]:
            if not active_jobs:  # asked before the executor is ready, too
                return
            answers = self._status_query_calls
            active = [job async for job in super().check_active_jobs(active_jobs)]
            if self._status_query_calls == answers:
                active = active_jobs
            queue, now = _queue("--states=all"), time.monotonic()
            known = {line.split()[0] for line in queue or ()}
            for job in active:
                if queue is None or job.external_jobid in known:
                    unknown.pop(job.external_jobid, None)
                elif now - unknown.setdefault(job.external_jobid, now) >= LOST:
                    del unknown[job.external_jobid]  # a controller that lost one gives its number to the next
                    self.report_job_error(job, msg=f"The controller does not know job {job.external_jobid} any more.")
                    continue
                else:
                    self.next_seconds_between_status_checks = PAUSE
                yield job
            if queue is None:
                self.next_seconds_between_status_checks = PAUSE

    return Patient
