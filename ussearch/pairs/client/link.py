"""The way to the cloud, with its guards: bulkhead, circuit breaker, call budget, deadline.

Both clients wait for a ``Call``, one by blocking its thread, the other in its event loop.
"""

from __future__ import annotations

import asyncio
import logging
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future

import numpy as np
import numpy.typing as npt

from ussearch.pairs.client.breaker import CircuitBreaker, Permit, State
from ussearch.pairs.client.budget import TokenBucket
from ussearch.pairs.client.conversation import Conversation, Reply
from ussearch.pairs.client.deadline import Clock, Deadline
from ussearch.pairs.client.reasons import CloudFailure, Reason
from ussearch.pairs.client.settings import CloudSettings
from ussearch.pairs.client.transport import Transport
from ussearch.pairs.client.workers import Job, Workers

Pixels = npt.NDArray[np.uint8]
LOG = logging.getLogger(__name__)


class Call:
    """One image on its way; it ends with a Reply or a CloudFailure, at its deadline at the latest."""

    def __init__(self, job: Job[Reply], deadline: Deadline, breaker: CircuitBreaker, permit: Permit) -> None:
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


class CloudLink:
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
        self._conversation = Conversation(settings.model, settings.version, settings.retries, chance, sleep)
        tls, address, headers = settings.tls(), settings.address, settings.headers()
        self._workers: Workers[Reply] = Workers(settings.concurrency, lambda: Transport(address, headers, tls))

    @property
    def circuit(self) -> State:
        """The state of the circuit breaker."""
        return self._breaker.state

    def deadline(self) -> Deadline:
        """Return the deadline of an image whose edge mask is ready now."""
        return Deadline.after(self.settings.deadline_ms / 1000, self.clock)

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
        job = Job(lambda transport: self._conversation.ask(transport, pixels, deadline), deadline)
        job.future.add_done_callback(lambda _: self._places.release())
        call = Call(job, deadline, self._breaker, permit)
        self._workers.submit(job)
        return call

    def close(self) -> None:
        """Let the threads end; calls that run are not waited for."""
        self._workers.close()
