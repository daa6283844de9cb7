"""Threads that do the network's work, so that who waits can leave at the deadline.

They are daemons: a name server that never answers must not keep the program from ending.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

from ussearch.pairs.client.deadline import Deadline
from ussearch.pairs.client.transport import Transport

T = TypeVar("T")


class Job(Generic[T]):
    """Work that a worker does with its connection before ``deadline``; its outcome is in ``future``."""

    def __init__(self, work: Callable[[Transport], T], deadline: Deadline) -> None:
        self.future: Future[T] = Future()
        self._work = work
        self._deadline = deadline
        self._transport: Transport | None = None

    def run(self, transport: Transport) -> None:
        """Do the work, unless it was abandoned while it waited."""
        if not self.future.set_running_or_notify_cancel():
            return
        self._transport = transport
        try:
            self.future.set_result(self._work(transport))
        except BaseException as error:
            self.future.set_exception(error)

    def abandon(self) -> None:
        """Give the work up: not begun, it never will be; begun, its connection is cut."""
        if not self.future.cancel() and self._transport is not None:
            self._transport.abort(self._deadline)


class Workers(Generic[T]):
    """At most ``count`` threads with one connection each, begun when they are needed."""

    def __init__(self, count: int, connect: Callable[[], Transport]) -> None:
        self._count, self._connect = count, connect
        self._jobs: queue.SimpleQueue[Job[T] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._idle = 0

    def submit(self, job: Job[T]) -> None:
        """Put the job into the queue; it is done by the first worker that is free."""
        with self._lock:
            self._jobs.put(job)
            if self._jobs.qsize() > self._idle and self._threads < self._count:
                self._threads += 1
                threading.Thread(target=self._serve, name="ussearch-cloud", daemon=True).start()

    def close(self) -> None:
        """Let the threads end after what they are doing."""
        with self._lock:
            for _ in range(self._threads):
                self._jobs.put(None)

    def _serve(self) -> None:
        transport = self._connect()
        while True:
            with self._lock:
                self._idle += 1
            job = self._jobs.get()
            with self._lock:
                self._idle -= 1
            if job is None:
                break
            job.run(transport)
        transport.close()
