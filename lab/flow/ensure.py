"""Make what a notebook reads before it runs: a corpus, its features, the runs that others start from."""

from __future__ import annotations

import subprocess
import sys

from lab.flow.guard import ParameterError
from lab.flow.tasks import job_task
from lab.show.plan import Plan
from lib.recipes.job import Job
from lib.runs import paths


def ensure(wanted: Job | tuple[Plan, str, str], missing: str = "make") -> None:
    """Make what is missing of the inputs of a job, or of a question or an ensemble of a plan, and say what was made.

    Args:
        wanted: a job; or a plan, ``ablation`` or ``ensemble``, and its name.
        missing: ``make``; or ``error`` to leave the complaint, with the command that mends it, to whoever reads the file.

    Raises:
        ParameterError: another value of ``missing``.
        RuntimeError: it could not be made, or another driver is at work; the message says which.
    """
    if missing not in ("make", "error"):
        raise ParameterError(f"parameter missing: {missing!r} is neither 'make' nor 'error'")
    jobs = list(wanted.parents.values()) if isinstance(wanted, Job) else _jobs(*wanted)
    absent = [paths.shown(job.folder.path) for job in jobs if not job.folder.is_done(job.digest)]
    if isinstance(wanted, Job):
        absent += [file for file in job_task(wanted).inputs if not (paths.home() / file).exists()]
    if missing == "error" or not absent:
        return
    print(f"Missing: {absent[0]}" + (f" and {len(absent) - 1} more." if len(absent) > 1 else "."), flush=True)
    command = [sys.executable, "-m", "lab", "reproduce", "--inputs-only", "--die-with-parent", *_words(wanted)]
    with subprocess.Popen(
        command, cwd=paths.PROJECT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as child:
        assert child.stdout is not None
        lines = []
        for line in child.stdout:
            lines.append(line)
            print(line, end="", flush=True)
    if child.returncode:
        raise RuntimeError("what this notebook reads could not be made: " + "".join(lines[-6:]).strip())
    print("Made all of it.")


def _jobs(plan: Plan, kind: str, name: str) -> list[Job]:
    if kind == "ensemble":
        return plan.ensemble_jobs(name)
    return [job for jobs in plan.ablation_jobs(name).values() for job in jobs]


def _words(wanted: Job | tuple[Plan, str, str]) -> list[str]:
    """The driver's options for the same thing."""
    if isinstance(wanted, Job):
        job = [wanted.recipe, wanted.stage, wanted.arm, str(wanted.seed)]
        return [f"--scale={wanted.scale}", f"--corpus={wanted.corpus_given}", "--job", *job]
    plan, kind, name = wanted
    seeds = len(plan.seeds) if plan.seeds_given else ""
    options = [f"--scale={plan.scale}", f"--corpus={plan.corpus}", f"--systems={','.join(plan.systems)}"]
    return [*options, f"--depth={plan.depth}", f"--seeds={seeds}", f"{kind}/{name}"]
