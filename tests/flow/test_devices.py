"""Steps on machines with as many devices as a test says: no two share one."""

import multiprocessing
import os
import tempfile

import pytest

from lab.flow import devices

FORK = multiprocessing.get_context("fork")


@pytest.fixture
def machine(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(devices, "present", lambda: ["0", "1", "2", "3"])
    for name in ("CUDA_VISIBLE_DEVICES", "SLURM_JOB_ID"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


class Step:
    """A process that has a lease until it is told to end."""

    def __init__(self, count: int, **environment: str) -> None:
        self.mine, others = FORK.Pipe()
        self.process = FORK.Process(target=self._work, args=(count, environment, others), daemon=True)
        self.process.start()

    def _work(self, count: int, environment: dict[str, str], pipe) -> None:
        os.environ.update(environment)
        devices.lease(count, wait=0.02)
        pipe.send(os.environ.get("CUDA_VISIBLE_DEVICES"))
        pipe.recv()

    def sees(self, within: float = 20.0) -> list[str] | None:
        return self.mine.recv().split(",") if self.mine.poll(within) else None

    def kill(self) -> None:
        self.process.kill()
        self.process.join()


def test_each_step_has_devices_of_its_own_and_leaves_them_however_it_ends(machine):
    steps = [Step(1), Step(1), Step(2)]
    seen = [step.sees() for step in steps]
    assert sorted(name for names in seen for name in names) == ["0", "1", "2", "3"] and len(seen[2]) == 2
    late = Step(2)
    assert late.sees(0.2) is None, "it waits"
    steps[0].kill()
    assert late.sees(0.2) is None, "and takes none as long as there are too few"
    steps[1].kill()
    assert set(late.sees()) == {*seen[0], *seen[1]}
    for step in (steps[2], late):
        step.kill()


def test_of_what_a_scheduler_gave_and_apart_from_its_other_jobs(machine):
    steps = [Step(1, CUDA_VISIBLE_DEVICES="0", SLURM_JOB_ID=job) for job in ("7", "8")]
    assert [step.sees() for step in steps] == [["0"], ["0"]], "each job counts from 0"
    named = [Step(1, CUDA_VISIBLE_DEVICES="GPU-a,GPU-b", SLURM_JOB_ID="9") for _ in range(2)]
    assert sorted(step.sees()[0] for step in named) == ["GPU-a", "GPU-b"]
    for step in (*steps, *named):
        step.kill()


def test_a_step_that_needs_none_sees_none_and_too_many_are_refused(machine):
    assert (none := Step(0)).sees() == [""]
    none.kill()
    with pytest.raises(RuntimeError, match="5 GPUs are asked for and 4 visible"):
        devices.lease(5)
    machine.setattr(devices, "present", list)
    devices.lease(1)
    assert "CUDA_VISIBLE_DEVICES" not in os.environ
