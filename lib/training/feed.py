"""Batches for the loop, prepared ahead of it where a GPU would otherwise wait."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from lib.data.batch import Batch


class Feed:
    """Hands out prepared batches, and knows the loader's position behind the newest one.

    With ``ahead`` above 0 a thread fetches and prepares that many batches in advance (both spend their time in copies
    that let other threads run). What is handed out is the same either way.

    Args:
        loader: batches with ``state_dict`` and ``load_state_dict``; begun again when it ends.
        prepare: called with each batch and its number, counted from 0.
    """

    def __init__(self, loader: Any, prepare: Callable[[Batch, int], Batch], ahead: int = 0) -> None:
        self.loader, self.ahead = loader, ahead
        self._prepared = self._prepare(prepare)
        self.position: dict[str, Any] = _position(loader)
        self._stop = threading.Event()
        if ahead:
            self._ready: queue.Queue = queue.Queue(maxsize=ahead)
            self._thread = threading.Thread(target=self._work, daemon=True)
            self._thread.start()

    def next(self) -> Batch:
        """
        Raises:
            ValueError: the loader holds no batch; or whatever loader and preparation raise.
        """
        item = self._ready.get() if self.ahead else next(self._prepared)
        if isinstance(item, BaseException):
            raise item
        batch, self.position = item
        return batch

    def close(self) -> None:
        """Stop preparing and put the loader where the loop is."""
        self._stop.set()
        if self.ahead:
            while self._thread.is_alive():
                with contextlib.suppress(queue.Empty):
                    self._ready.get_nowait()  # it may wait for room
                self._thread.join(0.001)
            self.loader.load_state_dict(self.position)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _prepare(self, prepare: Callable[[Batch, int], Batch]) -> Iterator[tuple[Batch, dict[str, Any]]]:
        for number, batch in enumerate(_endless(self.loader)):
            yield prepare(batch, number), _position(self.loader)

    def _work(self) -> None:
        try:
            for item in self._prepared:
                self._ready.put(item)
                if self._stop.is_set():
                    return
        except BaseException as error:  # noqa: BLE001  raised again where the batch is asked for
            self._ready.put(error)


def _position(loader: Any) -> dict[str, Any]:
    return loader.state_dict() if hasattr(loader, "state_dict") else {}


def _endless(loader: Iterable[Batch]) -> Iterator[Batch]:
    while True:
        empty = True
        for batch in loader:
            empty = False
            yield batch
        if empty:
            raise ValueError("the training loader yields no batch; are there fewer items than batch_size?")
