"""SIGTERM, as a scheduler sends it before it kills: noted at once, obeyed where a run can be taken up again."""

import signal
import threading
from typing import Self


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
