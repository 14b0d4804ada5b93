"""A bar where someone watches, a line every ten seconds elsewhere."""

import pytest

from lib.training import progress
from lib.training.progress import Progress


class Clock:
    now = 0.0

    @classmethod
    def monotonic(cls) -> float:
        return cls.now


@pytest.fixture
def clock(monkeypatch):
    Clock.now = 100.0
    monkeypatch.setattr(progress, "time", Clock)
    return Clock


def test_lines_by_hand(clock, capsys):
    """Resumed at 20 of 60, one step of 8 samples a second: after 10 s a line, 80 samples in 10 s, 30 s left."""
    with Progress(60, done=20, style="lines") as bar:
        bar.show(0.25)
        for _ in range(19):
            clock.now += 1
            bar.advance(8)
    assert capsys.readouterr().err == "step 30 of 60, loss 0.25, 8 samples/s, 00:10 gone, 00:30 left\n"


def test_off_is_quiet_and_a_bar_is_a_bar(clock, capsys):
    with Progress(3, style="off") as bar:
        clock.now += 100
        bar.advance(1)
    assert capsys.readouterr().err == ""
    with Progress(3, style="bar") as bar:
        bar.show(0.5)
        bar.advance(1)
    assert "1/3" in capsys.readouterr().err


def test_choice(monkeypatch):
    monkeypatch.delenv("VIDLAB_PROGRESS", raising=False)
    monkeypatch.setattr(progress.sys, "modules", {})
    monkeypatch.setattr(progress.sys, "stderr", type("Terminal", (), {"isatty": lambda self: True})())
    assert progress._choose() == "bar"
    monkeypatch.setattr(progress.sys, "stderr", type("File", (), {"isatty": lambda self: False})())
    assert progress._choose() == "lines"
    monkeypatch.setattr(progress.sys, "modules", {"ipykernel": object()})
    assert progress._choose() == "bar"
    monkeypatch.setenv("VIDLAB_PROGRESS", "lines")
    assert progress._choose() == "lines"
