"""Calls to Snakemake, each in a fork of this process: imported once, no state from one call to the next."""

from __future__ import annotations

import csv
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from lab.flow.watch import die_with_parent
from lib.runs import paths

# Digests in `params` say when values, data or code changed; `code` would rerun everything for an edit of the Snakefile.
TRIGGERS = ("input", "mtime", "params")


@dataclass(frozen=True)
class Workflow:
    """A Snakefile over a frozen plan.

    Args:
        plan: file written by :func:`lab.flow.steps.write`. targets: files to make. forced: files to make in any case.
    """

    plan: Path
    targets: tuple[str, ...]
    forced: tuple[str, ...] = ()
    only: tuple[str, ...] = ()  # rules that may run; all if empty
    snakefile: Path = paths.PROJECT / "Snakefile"

    @property
    def _common(self) -> list[str]:
        words = ["--snakefile", str(self.snakefile), "--directory", str(paths.home()), "--rerun-triggers", *TRIGGERS]
        # Touched files are compared by content up to this size, so that a new date alone reruns nothing.
        words += ["--max-checksum-file-size", str(10**12), "--scheduler", "greedy", "--rerun-incomplete"]
        words += ["--config", f"plan={self.plan}"]
        words += ["--forcerun", *self.forced] if self.forced else []
        words += ["--allowed-rules", *self.only] if self.only else []
        return [*words, "--", *self.targets]

    def pending(self) -> dict[str, str]:
        """Files that would be made, each with the reason in Snakemake's words.

        Raises:
            WorkflowError: the graph cannot be built, for example because an input is missing that no step makes.
        """
        with tempfile.TemporaryDirectory(prefix="vidlab-plan-") as folder:
            out, err = Path(folder) / "out", Path(folder) / "err"
            status = call(["--summary", "--nolock", "--cores", "1", *self._common], out, err)
            if status:
                raise WorkflowError(err.read_text(encoding="utf-8").strip())
            rows = list(csv.DictReader(out.read_text(encoding="utf-8").splitlines(), delimiter="\t"))
        return {row["output_file"]: row["status"] for row in rows if row["plan"] == "update pending"}

    def unlock(self) -> None:
        """Remove the lock of a killed run. Only call it while holding a lock of one's own."""
        locks = paths.home() / ".snakemake" / "locks"
        if locks.is_dir() and any(locks.iterdir()):
            shutil.rmtree(locks)

    def start(self, cores: int, keep_going: bool, log: Path) -> int:
        """Run in the background; everything Snakemake says goes to ``log``. Returns the process id."""
        words = ["--cores", str(cores), *(["--keep-going"] if keep_going else []), *self._common]
        return start(words, log, log)


class WorkflowError(Exception):
    """Snakemake could not build or run the graph."""


def call(words: list[str], out: Path, err: Path) -> int:
    """Run Snakemake to its end; returns the exit status."""
    _, status = os.waitpid(start(words, out, err), 0)
    return os.waitstatus_to_exitcode(status)


def start(words: list[str], out: Path, err: Path) -> int:
    """Fork, and in the fork be ``snakemake words``. The fork ends with this process."""
    import snakemake.cli  # here, so that forks share it

    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        for number, file in ((1, out), (2, err)):
            file.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(descriptor, number)
            os.close(descriptor)
        sys.stdout, sys.stderr = (open(number, "w", encoding="utf-8", closefd=False) for number in (1, 2))  # noqa: SIM115
        die_with_parent(parent)
        sys.argv = ["snakemake", *words]
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(paths.PROJECT), os.environ.get("PYTHONPATH")]))
        look_only_when_something_happened()
        snakemake.cli.main(words)
        status = 0
    except SystemExit as ending:
        status = ending.code if isinstance(ending.code, int) else int(ending.code is not None)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def look_only_when_something_happened() -> None:
    """Snakemake's scheduler sets itself an alarm at every look, which brings a further look and alarm: with every finished job
    they become more, and after some hundred jobs they take a fifth of a core. The alarms serve a limit of jobs a second that
    is never reached here; a job that ends wakes the scheduler by itself."""
    from snakemake.scheduling.job_scheduler import JobScheduler

    if hasattr(JobScheduler, "_schedule_reevalutation"):
        JobScheduler._schedule_reevalutation = lambda self, delay: None
