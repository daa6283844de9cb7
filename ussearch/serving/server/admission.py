"""Which requests are computed: as many as there are threads, a few that wait, none that nobody waits for any more."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from ussearch.serving.client.guards import Clock

T = TypeVar("T")


class Overloaded(Exception):
    """Every thread is busy and the queue is full."""


class Expired(Exception):
    """The sender had left before the request's turn came."""


class Admission:
    """Runs work in threads (onnxruntime releases the interpreter's lock) and bounds how much of it waits."""

    def __init__(self, threads: int, waiting: int, clock: Clock = time.monotonic) -> None:
        self.clock = clock
        self.inside = 0
        self._places = threads + waiting
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="ussearch-inference")

    async def run(self, work: Callable[[], T], ends_s: float | None) -> T:
        """Return what ``work`` does; raises Overloaded at once, or Expired where its turn comes after ``ends_s``."""
        if self.inside >= self._places:
            raise Overloaded
        self.inside += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, self._unless_late, work, ends_s)
        finally:
            self.inside -= 1

    def close(self) -> None:
        """Drop what waits and let the threads end."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _unless_late(self, work: Callable[[], T], ends_s: float | None) -> T:
        if ends_s is not None and self.clock() >= ends_s:
            raise Expired
        return work()
