"""Batches for the loop, prepared ahead of it where a GPU would otherwise wait."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Self

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
