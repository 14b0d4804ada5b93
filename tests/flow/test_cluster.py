"""Steps handed to a scheduler, as far as its commands show: what is asked for, and that nothing is left behind."""

import logging
import os
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue

import pytest

from lab.flow import cluster
from lab.flow.snake import Event, _Events
from lib.recipes.errors import RecipeError
from tests.flow.toy import Toy

pytest.importorskip("snakemake_executor_plugin_slurm", reason="the extra slurm is not installed")
COMMANDS = {  # of a cluster that does a job the moment it is submitted
    "sbatch": 'echo "$@" >> "$CALLS"; mkdir -p data; cp source.json data/manifest.json; echo 41',
    "squeue": 'case "$*" in *%T*) echo "41|COMPLETED";; *) cat "$QUEUE";; esac',
    "scancel": 'echo "cancel $@" >> "$CALLS"; : > "$QUEUE"',
    "scontrol": "echo MinJobAge = 3600 sec",
    "sacct": "exit 1",
    "sinfo": 'echo "${GRES-gpu:4}"',
}


class Wanting(Toy):
    """Its corpus wants two GPUs and twenty minutes."""

    def tasks(self):
        first, *others = super().tasks()
        return [replace(first, gpus=2, threads=8), *others]


@pytest.fixture
def calls(tmp_path, monkeypatch) -> Path:
    (tmp_path / "bin").mkdir()
    for name, script in COMMANDS.items():
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    for name in ("calls", "queue"):
        (tmp_path / name).touch()
        monkeypatch.setenv(name.upper(), str(tmp_path / name))
    slurm = (cluster.PROFILES / "slurm" / "config.yaml").read_text()
    (tmp_path / "profiles" / "slurm").mkdir(parents=True)
    hurried = slurm.replace("status-checks: 5", "status-checks: 1")
    (tmp_path / "profiles" / "slurm" / "config.yaml").write_text(hurried)
    monkeypatch.setattr(cluster, "PROFILES", tmp_path / "profiles")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("VIDLAB_HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    return tmp_path / "calls"


def test_a_profile_that_is_not_there_and_a_cluster_that_does_not_answer_are_named(calls, monkeypatch):
    cluster.check("slurm")
    for name in ("nope", "../profiles/slurm", ".DS_Store"):
        (cluster.PROFILES / ".DS_Store").touch()
        with pytest.raises(RecipeError, match="PROFILE: .*slurm"):
            cluster.check(name)
    (calls.parent / "bin" / "sinfo").write_text("#!/bin/sh\necho Unable to contact slurm controller >&2; exit 1\n")
    with pytest.raises(RecipeError, match="PROFILE: .*Unable to contact slurm controller.*leave PROFILE out"):
        cluster.has_gpus()
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(RecipeError, match="PROFILE: .*sinfo"):
        cluster.has_gpus()


def test_a_step_is_a_job_with_the_gpus_cores_and_minutes_that_it_needs(calls):
    toy = Wanting(calls.parent / "home")
    made = toy.drive("corpus/twin", profile="slurm")
    assert made.status == 0, made.shown
    (call,) = calls.read_text().splitlines()
    named = f"--job-name {cluster.jobs_of_this_home()}"
    asked = (named, "--gpus=2", "--cpus-per-task=8", "-t 31", "-p main", "--mem 8000")
    assert all(words in call for words in asked), call
    assert "Nothing to do" in toy.drive("corpus/twin", profile="slurm").shown


def test_a_step_may_read_many_files(calls):
    """Beyond twenty they are listed in a file of the job's own, which the name of a step could not be a part of."""
    files = [calls.parent / f"{number}.json" for number in range(30)]
    for file in files:
        file.write_text("{}")

    class Reading(Wanting):
        def tasks(self):
            first, *others = super().tasks()
            return [replace(first, inputs=tuple(map(str, files))), *others]

    made = Reading(calls.parent / "home").drive("corpus/twin", profile="slurm")
    assert made.status == 0, made.shown


def test_a_cluster_without_gpus_is_asked_for_none(calls, monkeypatch):
    monkeypatch.setenv("GRES", "(null)")
    made = Wanting(calls.parent / "home").drive("corpus/twin", profile="slurm")
    assert made.status == 0 and "--gpus" not in calls.read_text() and "--cpus-per-task=8" in calls.read_text(), (
        made.shown
    )


def test_why_a_job_was_not_taken_is_told(calls):
    (calls.parent / "bin" / "sbatch").write_text("#!/bin/sh\necho no such partition >&2\nexit 1\n")
    made = Wanting(calls.parent / "home").drive("corpus/twin", profile="slurm")
    assert made.status == 1 and "no such partition" in made.shown


def test_a_job_that_was_cancelled_is_handed_over_once_more(calls):
    script = 'n=$(wc -l < "$CALLS"); [ "$n" -le 1 ] || { mkdir -p data; cp source.json data/manifest.json; }; echo $n'
    (calls.parent / "bin" / "sbatch").write_text(f'#!/bin/sh\necho "$@" >> "$CALLS"\n{script}\n')
    states = 'case "$*" in *%T*) echo "1|CANCELLED"; echo "2|COMPLETED";; esac'
    (calls.parent / "bin" / "squeue").write_text(f"#!/bin/sh\n{states}\n")
    made = Wanting(calls.parent / "home").drive("corpus/twin", profile="slurm")
    assert made.status == 0 and len(calls.read_text().splitlines()) == 2, made.shown
    assert "failed" not in made.shown


def test_a_controller_that_dies_is_waited_for_and_what_it_lost_is_handed_over_again(calls, monkeypatch):
    """It takes a job, is gone for three questions of whoever asks, and comes back without the job."""
    monkeypatch.setattr(cluster, "PAUSE", 0.1)
    monkeypatch.setattr(cluster, "LOST", 0.1)
    bin, down = calls.parent / "bin", calls.parent / "down"
    sbatch = """n=$(wc -l < "$CALLS")
[ $n -gt 1 ] && { mkdir -p data; cp source.json data/manifest.json; } || echo gone gone gone > "DOWN"
echo $n"""
    gone = 'if [ -s "DOWN" ]; then left=$(cut -s -d" " -f2- "DOWN"); echo "$left" > "DOWN"; [ "$left" ] || : > "DOWN"; exit 1; fi'
    for name, script in (
        ("sbatch", f'[ -s "DOWN" ] && exit 1\necho "$@" >> "$CALLS"\n{sbatch}'),
        ("squeue", f'{gone}\ncase "$*" in *%T*) echo "2|COMPLETED";; *) echo "2 vidlab";; esac'),
        ("scontrol", '[ -s "DOWN" ] && exit 1\necho MinJobAge = 3600 sec'),
    ):
        (bin / name).write_text(f"#!/bin/sh\n{script}\n".replace("DOWN", str(down)))
    made = Wanting(calls.parent / "home").drive("corpus/twin", profile="slurm")
    assert made.status == 0 and len(calls.read_text().splitlines()) == 2, made.shown
    assert "failed" not in made.shown and not down.read_text()


def test_a_step_has_failed_when_it_is_not_tried_again():
    told: SimpleQueue[Event] = SimpleQueue()
    handler = _Events(told, retries=1)
    handler.step[3] = "corpus/twin"
    error = logging.makeLogRecord({"event": "job_error", "jobid": 3, "rule_msg": "full"})
    handler.emit(error)
    assert told.empty()
    handler.emit(error)
    assert told.get() == Event("failed", "corpus/twin", "full")


def test_jobs_that_a_killed_driver_left_are_cancelled_and_those_of_others_are_not(calls):
    name = cluster.jobs_of_this_home()
    (calls.parent / "queue").write_text(f"7 {name}_run\n8 vidlab-00000000_run\n9 {name}_run\n")
    cluster.cancel()
    cluster.cancel()
    assert calls.read_text() == "cancel 7 9\n"


def test_a_profile_that_is_not_there_is_named():
    with pytest.raises(Exception, match="PROFILE.*slurm"):
        cluster.Profile.load("slrm")
