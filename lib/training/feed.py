"""Around the loop: batches prepared ahead where a GPU would otherwise wait; how far the run is; SIGTERM, as a scheduler sends
it before it kills, obeyed where the run can be taken up again."""

import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Literal, Self

from tqdm import tqdm

from lib.data.batch import Batch


class Feed:
    """Hands out prepared batches, and knows the loader's position behind the newest one.

    With ``ahead`` above 0 a thread fetches and prepares that many batches in advance (both spend their time in copies
    that let other threads run). What is handed out is the same either way. ``loader``: endless batches, with
    ``state_dict`` and ``load_state_dict``.
    """

    def __init__(self, loader: Any, prepare: Callable[[Batch, int], Batch], ahead: int = 0):
        self.loader, self.ahead = loader, ahead
        self.position: dict[str, Any] = loader.state_dict()
        self._prepared = ((prepare(batch, number), loader.state_dict()) for number, batch in enumerate(loader))
        self._thread = ThreadPoolExecutor(1) if ahead else None
        self._coming: deque[Future] = deque()

    def next(self) -> Batch:
        """Raises whatever loader and preparation raise."""
        if self._thread is None:
            batch, self.position = next(self._prepared)
            return batch
        while len(self._coming) <= self.ahead:
            self._coming.append(self._thread.submit(next, self._prepared))
        batch, self.position = self._coming.popleft().result()
        return batch

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Stop preparing and put the loader where the loop is."""
        if self._thread is not None:
            self._thread.shutdown(cancel_futures=True)
            self.loader.load_state_dict(self.position)


Style = Literal["auto", "bar", "lines", "off"]
LINE = "step {n_fmt} of {total_fmt}, {elapsed} gone, {remaining} left, {rate_fmt}{postfix}\n"


def progress(steps: int, done: int, style: Style = "auto") -> tqdm:
    """
    Args:
        steps, done: total, and those an earlier process has done.
        style: "auto" is a bar on a terminal and in a notebook, else lines; the environment variable VIDLAB_PROGRESS
            (bar, lines, off) decides for runs that nobody watches.
    """
    if style == "auto":
        watched = sys.stderr.isatty() or "ipykernel" in sys.modules
        style = os.environ.get("VIDLAB_PROGRESS") or ("bar" if watched else "lines")  # type: ignore[assignment]
    counts: dict[str, Any] = {"total": steps, "initial": done, "unit": "step", "miniters": 1}
    if style == "lines":
        return tqdm(**counts, mininterval=10.0, bar_format=LINE)
    return tqdm(**counts, mininterval=0.5, dynamic_ncols=True, disable=style == "off")


class Stop:
    """Inside, SIGTERM only makes ``asked`` true; behind it the signal takes its usual course. Only the main thread can
    catch signals; in others nothing changes."""

    asked = False

    def __enter__(self) -> Self:
        self._catches = threading.current_thread() is threading.main_thread()
        if self._catches:
            self._usual = signal.signal(signal.SIGTERM, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        if self._catches:
            signal.signal(signal.SIGTERM, self._usual or signal.SIG_DFL)
        if self.asked:
            signal.raise_signal(signal.SIGTERM)

    def _note(self, *_: object) -> None:
        self.asked = True
