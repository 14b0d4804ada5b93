"""How far a run is: a bar where someone watches, else a line every few seconds."""

from __future__ import annotations

import os
import sys
import time
from typing import Literal, Self

from tqdm import tqdm

Style = Literal["auto", "bar", "lines", "off"]
LINE_EVERY = 10.0  # seconds


class Progress:
    """Steps done, loss, samples per second and time left, on standard error.

    Args:
        steps, done: total, and those an earlier process has done.
        style: "auto" is a bar on a terminal and in a notebook, else lines; the environment variable VIDLAB_PROGRESS
            (bar, lines, off) decides for runs that nobody watches.
    """

    def __init__(self, steps: int, done: int = 0, style: Style = "auto") -> None:
        self.style = _choose() if style == "auto" else style
        self.steps, self.done, self.samples, self.loss = steps, done, 0, float("nan")
        self.start_step, self.started = done, time.monotonic()
        self.printed = self.started
        self.bar = (
            tqdm(total=steps, initial=done, unit="step", mininterval=0.5, dynamic_ncols=True)
            if self.style == "bar"
            else None
        )

    def advance(self, samples: int) -> None:
        self.done += 1
        self.samples += samples
        if self.bar is not None:
            self.bar.update()
        elif self.style == "lines" and time.monotonic() - self.printed >= LINE_EVERY:
            self.printed = time.monotonic()
            print(self.line(), file=sys.stderr, flush=True)

    def show(self, loss: float) -> None:
        """Newest loss; called whenever it has been fetched from the device anyway."""
        self.loss = loss
        if self.bar is not None:
            self.bar.set_postfix_str(f"loss {loss:.4g}, {self.rate():.0f} samples/s", refresh=False)

    def rate(self) -> float:
        return self.samples / max(time.monotonic() - self.started, 1e-9)

    def line(self) -> str:
        seconds = time.monotonic() - self.started
        left = seconds / max(self.done - self.start_step, 1) * (self.steps - self.done)
        return (
            f"step {self.done} of {self.steps}, loss {self.loss:.4g}, {self.rate():.0f} samples/s, "
            f"{tqdm.format_interval(seconds)} gone, {tqdm.format_interval(left)} left"
        )

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _choose() -> Style:
    wish = os.environ.get("VIDLAB_PROGRESS")
    if wish in ("bar", "lines", "off"):
        return wish  # type: ignore[return-value]
    return "bar" if sys.stderr.isatty() or "ipykernel" in sys.modules else "lines"
