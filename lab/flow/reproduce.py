"""The driver behind make: says what it will run and how long that takes, runs it, shows progress, ends with the scores.

    python -m lab.flow.reproduce [--scale laptop] [--corpus STORE] [--systems a,b] [--questions c,d] [--seeds 3]
                                 [--jobs 2] [--keep-going] [--dry-run] [TARGET ...]

A TARGET is a kind of step (``report``, ``ablation``) or one step (``ablation/ema``); without one everything is made.
``--job RECIPE STAGE ARM SEED`` makes one training job and what it needs. One driver runs at a time in a folder; after
a kill, even ``kill -9``, the next call goes on where the last one stopped.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import shutil
import signal
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import mean

from lab.flow import events, screen, steps
from lab.flow.forkserver import gpus_visible, warm
from lab.flow.runner import ENVIRONMENT
from lab.flow.snake import Workflow, WorkflowError
from lab.flow.steps import Step
from lab.flow.tasks import Task, feature_task, job_task, tasks_of
from lab.show.plan import Plan
from lib.recipes.errors import RecipeError, nearest
from lib.recipes.load import load, names, split_names
from lib.recipes.specs import Ablation, Scale
from lib.runs import paths
from lib.runs.files import read_json, write_json
from lib.runs.machine import cores

BUSY, STOPPED = 75, 130
PAGES = ("ablation", "ensemble", "report")  # kinds of step that only read runs


class UsageError(Exception):
    """A wrong call; the message is for the user."""


def main(argv: list[str] | None = None) -> int:
    options = _options(argv)
    console = screen.make_console()
    os.environ.update({name: value for name, value in ENVIRONMENT.items() if name not in os.environ})
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with only_one(paths.home()):
            return reproduce(options, console)
    except (UsageError, RecipeError, WorkflowError) as error:
        console.print(str(error), style="red", highlight=False, markup=False)
        return BUSY if isinstance(error, Busy) else 2
    except KeyboardInterrupt:
        console.print("Stopped. The same command goes on from here.")
        return STOPPED


def reproduce(options: argparse.Namespace, console) -> int:
    plan = Plan.load(options.scale, options.corpus or None, options.systems, options.seeds, options.questions)
    plan = replace(plan, more=tuple(t.split("/", 1)[1] for t in options.targets if t.startswith("ablation/")))
    every = steps.steps_of(_tasks(plan, options.job))
    wanted = _targets(every, options)
    world = paths.runs(options.scale, options.corpus or None)
    status = drive(every, wanted, world, load(Scale, options.scale).expected_seconds, options, console)
    if (
        not status
        and not options.dry_run
        and any(step.kind == "report" and step.outputs[0] in wanted for step in every)
    ):
        screen.scores(plan.report_folder / "tables" / "leaderboard.csv", console)
        console.print(
            (plan.report_folder / "summary.txt").read_text(encoding="utf-8"), end="", highlight=False, markup=False
        )
        console.print(f"Report: {plan.report_folder / 'index.html'}", soft_wrap=True, highlight=False)
    return status


def drive(
    every: list[Step], wanted: list[str], world: Path, seconds: dict[str, float], options: argparse.Namespace, console
) -> int:
    """Bring some files up to date.

    Args:
        every: all steps. wanted: files to make. world: folder for the frozen plan, the log and the timings.
        seconds: by kind of step, for the first forecast.

    Returns:
        0 when everything wanted is there, 1 after a failure.
    """
    frozen = world / "plan.json"
    steps.write(every, frozen)
    needed = steps.behind(every, wanted)  # Snakemake runs what it is forced to even where no target asks for it
    stale = [step for step in needed if step.is_made() and not step.is_trained()]
    if options.existing:
        require_existing(every)
        stale = [step for step in stale if step.kind in PAGES]
    only = tuple(step.name for step in every if step.kind in PAGES) if options.existing else ()
    workflow = Workflow(frozen, tuple(wanted), only=only, forced=tuple(step.outputs[0] for step in stale))
    workflow.unlock()
    reasons = workflow.pending()
    pending = [step for step in every if any(file in reasons for file in step.outputs)]
    if not pending:
        console.print(f"Nothing to do: all {len(every)} steps are up to date.")
        return 0
    jobs = options.jobs or default_jobs()
    expected = expectations(every, world, seconds)
    screen.forecast(every, pending, expected, jobs, console)
    if options.dry_run:
        for step in pending:
            console.print(f"  {step.name}  ({reasons.get(step.outputs[0], 'follows')})", highlight=False, markup=False)
        return 0
    return int(run(workflow, pending, expected, jobs, options.keep_going, world, console))


def run(
    workflow: Workflow,
    pending: list[Step],
    expected: dict[str, float],
    jobs: int,
    keep_going: bool,
    world: Path,
    console,
) -> bool:
    """Run the pending steps; returns whether anything failed."""
    folder = Path(tempfile.mkdtemp(prefix="vidlab-events-"))
    listener = events.Listener(folder)
    os.environ[events.ADDRESS] = str(listener.path)
    log = world / "workflow.log"
    log.unlink(missing_ok=True)
    try:
        with warm(), screen.Progress(pending, expected, jobs, console) as progress:
            status = _attend(workflow.start(jobs, keep_going, log), listener, progress)
    finally:
        listener.close()
        shutil.rmtree(folder, ignore_errors=True)
        del os.environ[events.ADDRESS]
    write_json(world / "durations.json", {**_durations(world), **progress.seconds})
    if status and not progress.failed:
        console.print(f"Snakemake stopped; its last words (all of them in {paths.shown(log)}):", style="red")
        console.print(log.read_text(encoding="utf-8")[-3000:], highlight=False, markup=False)
    elif status:
        by_name = {step.name: step for step in pending}
        console.print(
            f"{len(progress.failed)} steps failed, {len(progress.left) - len(progress.failed)} wait for them or were not started. Logs:",
            style="red",
        )
        for name in progress.failed:
            console.print(f"  {paths.shown(paths.home() / by_name[name].log)}", highlight=False, markup=False)
        console.print(
            "The same command goes on from here."
            + ("" if keep_going else " KEEP_GOING=1 runs what does not depend on a failed step.")
        )
    return bool(status)


def _attend(child: int, listener: events.Listener, progress: screen.Progress) -> int:
    """Show progress until Snakemake ends; hand an interrupt on and wait for its clean-up."""
    import time

    while True:
        try:
            pid, status = os.waitpid(child, os.WNOHANG)
            progress.update(listener.read())
            if pid:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.2)
        except (KeyboardInterrupt, SystemExit):
            os.kill(child, signal.SIGTERM)
            os.waitpid(child, 0)
            raise


class Busy(UsageError):
    """Another driver runs in this folder."""


@contextmanager
def only_one(folder: Path):
    """Hold the folder's lock, which the system drops with the process, however it ends.

    Raises:
        Busy: another driver holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".snakemake.flock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Busy(f"Another 'make reproduce' runs in {folder}; wait for it or stop it.") from None
        yield


def default_jobs() -> int:
    """Cores that may be used, but no more than memory allows at 1.5 GB a job; with GPUs, one job for each."""
    import psutil

    by_memory = int(psutil.virtual_memory().available / 1.5e9)
    return max(1, min(gpus_visible() or cores(), by_memory))


def expectations(every: list[Step], world: Path, by_kind: dict[str, float]) -> dict[str, float]:
    """Seconds each step should take: as long as last time, else as its kind did, else as the scale's file says."""
    known = _durations(world)
    kinds = {
        kind: [known[s.name] for s in every if s.kind == kind and s.name in known]
        for kind in {step.kind for step in every}
    }
    return {
        step.name: known.get(step.name)
        or (mean(kinds[step.kind]) if kinds[step.kind] else by_kind.get(step.kind, 10.0))
        for step in every
    }


def _durations(world: Path) -> dict[str, float]:
    file = world / "durations.json"
    return read_json(file) if file.exists() else {}


def require_existing(every: list[Step]) -> None:
    """Raises UsageError if a run that the pages read is absent or was made with other settings."""
    missing = [step.name for step in every if step.kind not in PAGES and not (step.is_made() and step.is_trained())]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise UsageError(
            f"{missing[0]}{more}: not made, or made with other settings; `make reproduce` makes what is missing."
        )


def _tasks(plan: Plan, job: list[str] | None) -> list[Task]:
    """The plan's tasks; with a job, also that job and its parents where no question of the report asks for them."""
    tasks = tasks_of(plan)
    if job:
        recipe, stage, arm, seed = job
        there = {task.outputs: task for task in tasks}
        waiting = [plan.job(recipe, stage, arm, int(seed))]
        while waiting:
            one = waiting.pop()
            for task in (*(feature_task(plan, ref) for ref in one.feature_sets), job_task(one)):
                there.setdefault(task.outputs, task)
            waiting += one.parents.values()
        tasks = list(there.values())
    return tasks


def _targets(every: list[Step], options: argparse.Namespace) -> list[str]:
    """Files to make.

    Raises:
        UsageError: a target that is neither a kind of step nor a step.
    """
    if options.job:
        recipe, stage, arm, seed = options.job
        folder = paths.shown(
            Plan(options.scale, options.corpus or "").job(recipe, stage, arm, int(seed)).folder.notebook
        )
        return [folder]
    known = [step.name for step in every] + [f"ablation/{name}" for name in names(Ablation)]
    kinds = list(dict.fromkeys(step.kind for step in every))
    files: list[str] = []
    for target in options.targets or ["report"]:
        chosen = [step for step in every if target in (step.kind, step.name)]
        if not chosen:
            raise UsageError(f"no step {target!r}; {nearest(target, [*kinds, *known])}")
        files += [file for step in chosen for file in step.outputs]
    return files


def _options(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m lab.flow.reproduce", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("targets", nargs="*")
    parser.add_argument("--scale", default="laptop")
    parser.add_argument("--corpus", default="", help="a name of params/corpora or the path of a store")
    parser.add_argument(
        "--systems",
        type=split_names,
        default=[],
        help="recipes, separated by commas",
    )
    parser.add_argument(
        "--questions",
        type=split_names,
        default=[],
        help="of params/ablations, separated by commas; those of params/report.yaml if not given",
    )
    parser.add_argument(
        "--seeds", type=lambda text: int(text) if text else None, help="how many; the scale's own if not given"
    )
    parser.add_argument(
        "--jobs",
        type=lambda text: int(text) if text else None,
        help="how many steps at a time; one a core if not given",
    )
    parser.add_argument("--job", nargs=4, metavar=("RECIPE", "STAGE", "ARM", "SEED"))
    parser.add_argument("--keep-going", action="store_true", help="after a failure run what does not depend on it")
    parser.add_argument("--existing", action="store_true", help="pages only, from the runs that exist")
    parser.add_argument("--dry-run", action="store_true", help="only say what would run")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
