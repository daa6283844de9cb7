"""The way to the cloud: threads with a connection each, behind bulkhead, breaker, budget and deadline."""

from __future__ import annotations

import asyncio
import logging
import queue
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

from ussearch.runtime.prediction import Reason
from ussearch.serving.client.guards import CircuitBreaker, Clock, Deadline, Permit, State, TokenBucket
from ussearch.serving.client.inference_call import InferenceCall, Reply
from ussearch.serving.client.settings import CloudSettings
from ussearch.serving.client.transport import CloudFailure, Transport

T = TypeVar("T")


class CallJob(Generic[T]):
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
        self._jobs: queue.SimpleQueue[CallJob[T] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._idle = 0

    def submit(self, job: CallJob[T]) -> None:
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


Pixels = npt.NDArray[np.uint8]
LOG = logging.getLogger(__name__)


class Call:
    """One image on its way; it ends with a Reply or a CloudFailure, at its deadline at the latest."""

    def __init__(self, job: CallJob[Reply], deadline: Deadline, breaker: CircuitBreaker, permit: Permit) -> None:
        self.job, self.deadline = job, deadline
        self._breaker, self._permit = breaker, permit
        self._begun_s = deadline.clock()
        self._settled = threading.Lock()
        job.future.add_done_callback(self._finished)

    def wait(self) -> Reply:
        """Return the reply, or raise CloudFailure."""
        try:
            return self.job.future.result(self.deadline.remaining_s)
        except BaseException as error:
            raise self._failure(error) from error

    async def wait_async(self) -> Reply:
        """Return the reply, or raise CloudFailure; other tasks go on meanwhile."""
        try:
            return await asyncio.wait_for(asyncio.wrap_future(self.job.future), self.deadline.remaining_s)
        except asyncio.CancelledError:
            self._abandon()
            raise
        except BaseException as error:
            raise self._failure(error) from error

    def _failure(self, error: BaseException) -> BaseException:
        if isinstance(error, CloudFailure):
            return error
        if isinstance(error, (TimeoutError, asyncio.TimeoutError, CancelledError)):
            self._abandon()
            return CloudFailure(Reason.DEADLINE, "no answer in time")
        if not isinstance(error, Exception):
            self._abandon()
            return error
        # Nothing that the network does may cost an image its mask, foreseen or not.
        LOG.error("A call to the cloud failed unexpectedly (%s).", type(error).__name__)
        return CloudFailure(Reason.INTERRUPTED, type(error).__name__)

    def _abandon(self) -> None:
        self._settle(success=False)
        self.job.abandon()

    def _finished(self, future: Future[Reply]) -> None:
        self._settle(success=not future.cancelled() and future.exception() is None)

    def _settle(self, *, success: bool) -> None:
        """Tell the breaker once: who leaves at the deadline knows before the worker does."""
        if self._settled.acquire(blocking=False):
            seconds = self.deadline.clock() - self._begun_s
            self._breaker.record(self._permit, success=success, seconds=seconds)


class CloudChannel:
    """Sends images to the cloud as far as its guards allow. Safe in several threads."""

    def __init__(
        self,
        settings: CloudSettings,
        *,
        clock: Clock = time.monotonic,
        chance: random.Random | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.settings = settings
        self.clock = clock
        self._breaker = CircuitBreaker(settings.breaker, clock)
        self._budget = TokenBucket(settings.calls_per_minute, settings.burst, clock)
        self._places = threading.BoundedSemaphore(settings.concurrency + settings.waiting)
        self._inference_call = InferenceCall(
            settings.model, settings.version, settings.retries, chance, sleep, postprocessing=settings.postprocessing
        )
        tls, address, headers = settings.tls(), settings.address, settings.headers()
        self._workers: Workers[Reply] = Workers(settings.concurrency, lambda: Transport(address, headers, tls))

    @property
    def circuit(self) -> State:
        """The state of the circuit breaker."""
        return self._breaker.state

    def deadline(self) -> Deadline:
        """Return the deadline of an image whose edge mask is ready now."""
        return Deadline.after(self.settings.deadline_ms / 1000, self.clock)

    def waited_ms(self, deadline: Deadline) -> float:
        """Return the milliseconds since ``deadline`` was given."""
        return self.settings.deadline_ms - 1000 * (deadline.ends_s - self.clock())

    def send(self, pixels: Pixels, deadline: Deadline) -> Call:
        """Begin to ask for the mask of pixels uint8 [1, 1, S, S]; raises CloudFailure where a guard says no."""
        if not self._places.acquire(blocking=False):
            raise CloudFailure(Reason.BUSY, "all places are taken")
        permit = self._breaker.permit()
        if permit is None:
            self._places.release()
            raise CloudFailure(Reason.CIRCUIT_OPEN, "the server failed too often")
        if not self._budget.take():
            self._breaker.forget(permit)
            self._places.release()
            raise CloudFailure(Reason.BUDGET, "no call is left")
        job = CallJob(lambda transport: self._inference_call.ask(transport, pixels, deadline), deadline)
        job.future.add_done_callback(lambda _: self._places.release())
        call = Call(job, deadline, self._breaker, permit)
        self._workers.submit(job)
        return call

    def close(self) -> None:
        """Let the threads end; calls that run are not waited for."""
        self._workers.close()
