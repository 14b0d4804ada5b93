"""The driver behind make: says what it will run and how long that takes, runs it, shows progress, ends with the scores.

    vidlab reproduce [--scale laptop] [--corpus STORE] [--systems a,b] [--questions c,d] [--depth all] [--seeds 3]
                     [--jobs 2] [--profile slurm] [--keep-going] [--dry-run] [TARGET ...]

A TARGET is a kind of step (``report``, ``ablation``) or one step (``ablation/ema``); without one everything is made.
A report of what there is comes first, then, with more questions and seeds, one or two in its place.
``--job RECIPE STAGE ARM SEED`` makes one training job and what it needs. One driver runs at a time in a folder; after
a kill, even ``kill -9``, the next call goes on where the last one stopped.
"""

from __future__ import annotations

import argparse
import fcntl
import math
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import psutil

from lab.flow import cluster, devices, forecast, processes, screen, tasks
from lab.flow.snake import Workflow
from lab.flow.tasks import PAGES, Task, feature_task, job_task, tasks_of
from lab.show.plan import DEPTHS, Plan, lineage
from lib.recipes.errors import RecipeError, nearest
from lib.recipes.job import Job
from lib.recipes.load import load, names, split_names
from lib.recipes.specs import Ablation, Scale
from lib.runs import paths
from lib.runs.files import DamagedFile, write_json
from lib.runs.folder import MissingRun
from lib.runs.machine import cores

BUSY, STOPPED = 75, 130
FIRST = 510  # seconds until the first report begins at the latest, so that it is there after ten minutes
SOON = 180  # seconds: no report on the way that much before a larger one


class UsageError(Exception):
    """A wrong call; the message is for the user."""


def main(argv: list[str]) -> int:
    """What ``vidlab reproduce`` does. Returns the exit status."""
    options = parser().parse_args(argv)
    console = screen.make_console()
    os.environ.update({name: value for name, value in processes.ENVIRONMENT.items() if name not in os.environ})
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _: sys.exit(128 + received))
    if options.die_with_parent:
        processes.die_with_parent()
    try:
        with only_one(paths.home()):
            have_a_home(paths.home() / "runs" / ".home")
            return reproduce(options, console)
    except (UsageError, RecipeError, DamagedFile, MissingRun) as error:
        console.print(str(error), style="red", highlight=False, markup=False)
        return BUSY if isinstance(error, Busy) else 2
    except KeyboardInterrupt:
        console.print("Stopped. The same command goes on from here.")
        return STOPPED


def reproduce(options: argparse.Namespace, console) -> int:
    """Plan, run, and end with scores and summary; returns the exit status.

    Raises:
        UsageError, RecipeError: a wrong call, or params that cannot run.
        MissingRun: a report of what there is was asked for, and not one system is whole.
    """
    started = time.monotonic()

    def load_plan(depth: str) -> Plan:
        return Plan.load(
            options.scale, options.corpus or None, options.systems, options.seeds, options.questions, depth
        )

    plan = load_plan(options.depth)
    plan = replace(plan, more=tuple(t.split("/", 1)[1] for t in options.targets if t.startswith("ablation/")))
    world, seconds = paths.runs(options.scale, options.corpus or None), load(Scale, options.scale).expected_seconds

    def run(every: list[Task], wanted: list[str], until: float = math.inf) -> int:
        return make(every, wanted, world, seconds, options, console, until)

    def where() -> None:
        console.print(f"Report: {plan.report_folder / 'index.html'}", soft_wrap=True, highlight=False)

    def report() -> int:
        pages = [task for task in tasks_of(plan.so_far()) if task.rule in (*PAGES, "eda")]
        status = run(pages, [task.step for task in pages])
        if not status:
            where()
        return status

    if options.existing:
        return report()
    for note in forecast.notes(plan):
        console.print(note, style="yellow", highlight=False, markup=False, soft_wrap=True)
    every = _tasks(plan, options)
    wanted = _targets(every, options)
    expected, jobs = forecast.expectations(every, world, seconds), options.jobs or default_jobs()
    if options.dry_run and not options.targets and not options.job:
        plans = [load_plan(depth) for depth in DEPTHS]
        screen.plan(plans, lambda steps: forecast.expectations(steps, world, seconds), jobs, console)
    if options.dry_run or "report/report" not in wanted:
        return run(every, wanted)
    levels = [tasks_of(plan.at(depth)) for depth in DEPTHS[: DEPTHS.index(plan.depth)]]
    until = started + FIRST
    for steps in () if options.profile else on_the_way(levels, every, expected, jobs):
        status = run(every, steps, until)
        if status and not options.keep_going:
            return status
        with suppress(MissingRun):  # not one system is whole: a slow machine, or each of them failed
            report()
        until = math.inf
    status = run(every, wanted)
    if status and options.keep_going:
        report()
    if not status:
        screen.scores(plan.report_folder / "tables" / "leaderboard.csv", console, own=bool(plan.corpus))
        summary = (plan.report_folder / "summary.txt").read_text(encoding="utf-8")
        console.print(summary, end="", highlight=False, markup=False)
        where()
    return status


def on_the_way(
    levels: Iterable[list[Task]], every: list[Task], expected: Mapping[str, float], jobs: int
) -> list[list[str]]:
    """Names of the steps to make before a report that shows less than everything, once for each such report that pays.

    Args:
        levels: all steps of those reports, the least first. every: of the whole one.
    """
    shown = all(task.is_made() for task in every if task.rule == "index")
    waiting, found = _waiting(every), []
    for level in levels:
        after = sum(expected[step] for step in waiting - _waiting(level)) / jobs
        if after > SOON and (not shown or _waiting(level)):
            found.append([task.step for task in level if task.rule not in PAGES])
    return found


def _waiting(tasks: list[Task]) -> set[str]:
    return {task.step for task in tasks if task.rule not in PAGES and (not task.is_made() or task.is_foreign())}


def make(
    every: list[Task], wanted: list[str], world: Path, seconds: dict[str, float], options: argparse.Namespace, console,
    until: float = math.inf,
) -> int:  # fmt: skip
    """Bring some steps up to date.

    Args:
        every: all steps. wanted: names of those to make. world: folder for the frozen plan, the log and the timings.
        seconds: by kind of step, for the first forecast. until: time (``time.monotonic``) at which a report comes first.

    Returns:
        0 when time was up or everything wanted is there, 1 after a failure.

    Raises:
        UsageError: Snakemake could not build or run the graph.
    """
    needed = tasks.needed_by(every, wanted)
    if options.inputs_only:
        needed = [task for task in needed if task.step not in wanted]
    for file in (file for task in needed for file in (*task.inputs, *task.outputs)):
        if "{" in file or "}" in file:
            raise UsageError(f"{file}: Snakemake takes braces in a name for a wildcard; rename the folder")
    # Written down once, so that every process that reads the Snakefile sees one graph, even if a recipe is edited meanwhile.
    expected = forecast.expectations(needed, world, seconds)
    handed = needed
    if options.profile:
        cluster.check(options.profile)
        gpus = cluster.has_gpus()
        handed = [_timed(task if gpus else replace(task, gpus=0), expected) for task in needed]
    tasks.write(handed, world / "plan.json")
    workflow = Workflow(
        world / "plan.json",
        # All that is needed is a target: Snakemake asks for no deleted file whose successors are there.
        targets=tuple(task.step for task in needed),
        # It knows what it made, and not that a run was trained again by hand with other settings, cut or edited.
        forced=tuple(task.step for task in needed if task.is_foreign()),
        log=world / ("plan.log" if options.dry_run else "workflow.log"),
        profile=options.profile,
    )
    jobs = options.jobs or default_jobs()
    if options.profile and not options.dry_run:
        cluster.cancel()
    progress = screen.Progress(needed, expected, jobs, console)
    keep_going = options.keep_going and until == math.inf  # or every step that is left would fail when time is up
    with closing(workflow.run(jobs, keep_going=keep_going, dry_run=options.dry_run)) as events:
        progress.watch(events, dry_run=options.dry_run, until=until)
    processes.go_on()
    if not options.dry_run:
        write_json(world / "durations.json", {**forecast.durations(world), **progress.seconds})
    if progress.interrupted:
        return 0
    if progress.stopped and not progress.failed:
        raise UsageError(f"Snakemake stopped: {progress.stopped}\nAll it said is in {paths.shown(workflow.log)}.")
    return progress.close("" if options.keep_going else " KEEP_GOING=1 runs what does not depend on a failed step.")


def have_a_home(instead: Path) -> None:
    """Let libraries that keep caches in the home folder, or where XDG says, keep them in ``instead`` if one cannot be written."""
    home, of_xdg = Path(os.path.expanduser("~")), ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME")
    below = [home / ".cache", *(Path(os.environ[name]) for name in of_xdg if os.environ.get(name))]
    there = [next(one for one in (path, *path.parents) if one.exists()) for path in below]
    if all(folder.is_dir() and os.access(folder, os.W_OK | os.X_OK) for folder in (home, *there)):
        return
    instead.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("HF_HOME", str(home / ".cache" / "huggingface"))  # models may be there to be read
    os.environ["HOME"] = str(instead)
    for name in of_xdg:
        os.environ.pop(name, None)


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
    return max(1, min(len(devices.visible()) or cores(), int(psutil.virtual_memory().available / 1.5e9)))


def _timed(task: Task, expected: Mapping[str, float]) -> Task:
    """With room for a slower node and a busy disk."""
    return replace(task, minutes=30 + math.ceil(3 * expected[task.step] / 60))


def _job(options: argparse.Namespace) -> Job:
    recipe, stage, arm, seed = options.job
    if not seed.isdecimal():
        raise UsageError(f"the seed of a job is a whole number, not {seed!r}")
    return Plan(options.scale, options.corpus).job(recipe, stage, arm, int(seed))


def _tasks(plan: Plan, options: argparse.Namespace) -> list[Task]:
    """The plan's tasks; with a job, also that job and its parents where no question of the report asks for them."""
    found = {task.step: task for task in tasks_of(plan)}
    for one in lineage(_job(options)) if options.job else ():
        for task in (*(feature_task(plan, ref) for ref in one.feature_sets), job_task(one)):
            found.setdefault(task.step, task)
    return list(found.values())


def _targets(every: list[Task], options: argparse.Namespace) -> list[str]:
    """Names of the steps to make.

    Raises:
        UsageError: a target that is neither a kind of step nor a step.
    """
    if options.job:
        return [job_task(_job(options)).step]
    kinds, steps, asked = ([t.rule for t in every], [t.step for t in every], [f"ablation/{n}" for n in names(Ablation)])
    chosen: list[str] = []
    for target in options.targets or ["report"]:
        found = [task.step for task in every if target in (task.rule, task.step)]
        if not found:
            raise UsageError(f"no step {target!r}; {nearest(target, list(dict.fromkeys([*kinds, *steps, *asked])))}")
        chosen += found
    return chosen


def count(text: str) -> int | None:
    """A number of the command line; empty for none given.

    Raises:
        ArgumentTypeError: it is not a whole number above zero.
    """
    if not text:
        return None
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above zero")
    return int(text)


def parser() -> argparse.ArgumentParser:
    """The command line of the driver; an empty value is as good as none, so that make can pass every one."""
    raw = argparse.RawTextHelpFormatter
    made = argparse.ArgumentParser("vidlab reproduce", description=__doc__, formatter_class=raw)
    add: Callable = made.add_argument
    add("targets", nargs="*")
    add("--scale", default="laptop")
    add("--corpus", default="", help="a name of params/corpora or the path of a store")
    add("--systems", type=split_names, default=[], help="recipes, separated by commas or spaces")
    asked = "of params/ablations, separated by commas or spaces; those of params/report.yaml if not given"
    add("--questions", type=split_names, default=[], help=asked)
    add("--depth", default="default", help="how much: first, default or all questions")
    add("--seeds", type=count, help="how many; the scale's own if not given")
    add("--jobs", type=count, help="how many steps at a time; one a core if not given")
    add("--profile", default="", help="hand the steps to a scheduler, by a profile of profiles/")
    add("--job", nargs=4, metavar=("RECIPE", "STAGE", "ARM", "SEED"))
    add("--inputs-only", action="store_true", help="what the targets need, and not the targets")
    add("--keep-going", action="store_true", help="after a failure run what does not depend on it")
    add("--existing", action="store_true", help="pages only, from the runs that exist")
    add("--dry-run", action="store_true", help="only say what would run")
    add("--die-with-parent", action="store_true", help=argparse.SUPPRESS)
    return made
