"""Steps as jobs of a scheduler, by a profile of Snakemake's in ``profiles/``; files lie where all nodes see them."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from typing import Any

from lib.recipes.code_digest import digest
from lib.recipes.errors import require
from lib.runs import paths

PROFILES = paths.PROJECT / "profiles"


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

        require(name, sorted(path.name for path in PROFILES.iterdir()), "PROFILE")
        _, given = parse_args(["--profile", str(PROFILES / name), "--slurm-jobname-prefix", jobs_of_this_home()])
        settings = ExecutorPluginRegistry().get_plugin(given.executor).get_settings(given)
        return cls(given.executor, settings, given.jobs, given.default_resources, given.latency_wait, given.retries)


def jobs_of_this_home() -> str:
    """What the names of its jobs begin with."""
    return f"vidlab-{digest([str(paths.home())])[:8]}"


def has_gpus() -> bool:
    """Whether any node counts GPUs among what it offers; jobs that ask for some would be refused where none does."""
    listed = subprocess.run(["sinfo", "--noheader", "--format=%G"], capture_output=True, text=True, check=True)
    return "gpu" in listed.stdout


def cancel() -> None:
    """End the jobs of this folder that a driver has left behind, or a killed one, before another submits them again."""
    listed = subprocess.run(
        ["squeue", "--me", "--noheader", "--format=%A %j"], capture_output=True, text=True, check=True
    )
    jobs = [line.split()[0] for line in listed.stdout.splitlines() if line.split()[1].startswith(jobs_of_this_home())]
    if jobs:
        subprocess.run(["scancel", *jobs], check=True)
