"""Pictures of many videos through an encoder: cut into batches that never cross a shard, encoded side by side, kept in order.

On a CPU a batch is encoded on the one thread that keeps its bits the same everywhere, so several cores are used by several
batches at a time. A GPU gets one after the other.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import BoundedSemaphore

import numpy as np
import torch

from lib.runs.machine import cores

Encode = Callable[[torch.Tensor], torch.Tensor]
WAITING = 1  # batches that wait for a thread: enough that none goes idle, few enough to bound memory


def side_by_side(device: torch.device) -> int:
    """How many batches at a time keep a device busy."""
    return 1 if device.type != "cpu" else max(1, cores() // torch.get_num_threads())


class Pool:
    """Calls of an encoder in threads. A caller waits while ``WAITING`` batches do.

    Args:
        encode: uint8 [B, 3, S, S] to float32 [B, D]; called from several threads.
        threads: calls at a time; 0 calls in the caller's own thread.
    """

    def __init__(self, encode: Encode, threads: int):
        self._encode, self._free = encode, BoundedSemaphore(threads + WAITING)
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="encode") if threads else None

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        if self._threads is not None:
            self._threads.shutdown(cancel_futures=True)

    def submit(self, pictures: np.ndarray) -> Future[np.ndarray]:
        """float16 [B, D] of a batch, or what went wrong with it."""
        if self._threads is None:
            done: Future[np.ndarray] = Future()
            done.set_result(self._run(pictures))
            return done
        self._free.acquire()
        future = self._threads.submit(self._run, pictures)
        future.add_done_callback(lambda _: self._free.release())
        return future

    def _run(self, pictures: np.ndarray) -> np.ndarray:
        return self._encode(torch.from_numpy(pictures)).to(torch.float16).numpy().astype("<f2", copy=False)


class Shard:
    """Videos from row ``first`` on, whose pictures are cut into batches of ``size``; the last batch may be smaller.

    Attributes:
        counts: pictures of each video so far; wrong: videos that have none because a picture is damaged.
    """

    def __init__(self, pool: Pool, size: int, first: int):
        self.first, self.counts, self.wrong = first, list[int](), list[dict]()
        self._pool, self._size = pool, size
        self._waiting: list[np.ndarray] = []
        self._batches: list[Future[np.ndarray]] = []

    def add(self, pictures: np.ndarray) -> None:
        """The next video's pictures, uint8 [n, 3, S, S]."""
        self.counts.append(len(pictures))
        self._waiting.append(pictures)
        if sum(map(len, self._waiting)) >= self._size:
            everything = np.concatenate(self._waiting)
            whole = len(everything) - len(everything) % self._size
            for start in range(0, whole, self._size):
                self._batches.append(self._pool.submit(everything[start : start + self._size]))
            self._waiting = [everything[whole:]]

    def close(self) -> None:
        """No more videos: what is left is the last batch."""
        if sum(map(len, self._waiting)):
            self._batches.append(self._pool.submit(np.concatenate(self._waiting)))
        self._waiting = []

    @property
    def done(self) -> bool:
        """Nothing is waited for when asking for features."""
        return all(batch.done() for batch in self._batches)

    def features(self) -> np.ndarray | None:
        """float16 [sum(counts), D] in the order of the videos, when all batches are done; None without any picture."""
        return np.concatenate([batch.result() for batch in self._batches]) if self._batches else None
