"""SIGTERM: the step is finished and saved, the signal then takes its usual course, and the run goes on bit for bit."""

import signal

import pytest
import torch

from tests.training.standin import Loader, trainer


class Told(Loader):
    """Told to end while the batch of a step is fetched."""

    def __iter__(self):
        for batch in super().__iter__():
            if self.step == 5:
                signal.raise_signal(signal.SIGTERM)
            yield batch


@pytest.mark.parametrize("usual", [signal.SIG_IGN, "noted"])
def test_sigterm_saves_the_step_and_ends_the_run(tmp_path, monkeypatch, usual):
    noted = []
    before = signal.signal(signal.SIGTERM, (lambda *_: noted.append(1)) if usual == "noted" else usual)
    try:
        stopped = trainer(tmp_path, save_minutes=60)
        with pytest.raises(SystemExit) as left:
            stopped.fit(Told(), 12)
        assert left.value.code == 143 and noted == [1] * (usual == "noted")
    finally:
        signal.signal(signal.SIGTERM, before)
    assert stopped.state.step == stopped.resume.checkpoint.step() == 5
    resumed, whole = trainer(tmp_path), trainer()
    resumed.fit(Loader(), 12)
    whole.fit(Loader(), 12)
    for name, tensor in whole.task.state_dict().items():
        assert torch.equal(resumed.task.state_dict()[name], tensor)


def test_checkpoints_by_the_clock(tmp_path, monkeypatch):
    """Every two minutes of a clock that a step moves on by one."""
    saved, now = [], [0.0]
    monkeypatch.setattr("lib.training.state.time.monotonic", lambda: now[0])
    ours = trainer(tmp_path, save_minutes=2)
    update, save = ours._update, ours.resume.checkpoint.save

    def minute(*given):
        now[0] += 60
        update(*given)

    ours._update = minute
    ours.resume.checkpoint.save = lambda step, *rest: saved.append(step) or save(step, *rest)
    ours.fit(Loader(), 8)
    assert saved == [3, 6, 8]  # later than two minutes, and the last
