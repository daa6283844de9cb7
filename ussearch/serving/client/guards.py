"""Guards of a call to the cloud, on a clock that tests can set: deadline, breaker, budget, retry."""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

Clock = Callable[[], float]
"""Seconds since some fixed moment, never running backwards."""


@dataclass(frozen=True, eq=False)
class Deadline:
    """The moment ``ends_s`` on ``clock``; what has a deadline asks how much is left and never adds up parts."""

    ends_s: float
    clock: Clock = field(default=time.monotonic, repr=False)

    @classmethod
    def after(cls, seconds: float, clock: Clock = time.monotonic) -> Deadline:
        """Return the deadline that lies ``seconds`` ahead."""
        return cls(clock() + seconds, clock)

    @property
    def remaining_s(self) -> float:
        """Seconds that are left, never below 0."""
        return max(0.0, self.ends_s - self.clock())

    @property
    def expired(self) -> bool:
        """Whether nothing is left."""
        return self.remaining_s <= 0


State = Literal["closed", "open", "half-open"]


@dataclass(frozen=True)
class BreakerRules:
    """``failures`` among the last ``window`` calls open the circuit for ``rest_s`` seconds; a call is slow, and counts
    as a failure, above ``slow_s``.
    """

    failures: int = 5
    window: int = 10
    rest_s: float = 5.0
    slow_s: float = float("inf")


@dataclass(frozen=True)
class Permit:
    """Leave for one call, given in the era between two changes of state; what comes later is no news."""

    era: int


class CircuitBreaker:
    """Whether calls may be made, from how earlier ones went. Safe in several threads."""

    def __init__(self, rules: BreakerRules | None = None, clock: Clock = time.monotonic) -> None:
        self._rules = rules or BreakerRules()
        self._clock = clock
        self._lock = threading.Lock()
        self._era = 0
        self._state: State = "closed"
        self._failed: deque[bool] = deque(maxlen=self._rules.window)
        self._opened_s = 0.0
        self._probing = False

    @property
    def state(self) -> State:
        """The state as of now."""
        with self._lock:
            self._rest()
            return self._state

    def permit(self) -> Permit | None:
        """Return leave for one call, or None; every permit wants ``record`` or ``forget``."""
        with self._lock:
            self._rest()
            if self._state == "open" or (self._state == "half-open" and self._probing):
                return None
            self._probing = self._state == "half-open"
            return Permit(self._era)

    def forget(self, permit: Permit) -> None:
        """Give back a permit whose call was not made."""
        with self._lock:
            if permit.era == self._era:
                self._probing = False

    def record(self, permit: Permit, *, success: bool, seconds: float) -> None:
        """Note how the call of ``permit`` went and how long it took."""
        failed = not success or seconds > self._rules.slow_s
        with self._lock:
            if permit.era != self._era:
                return
            if self._state == "half-open":
                self._enter("open" if failed else "closed")
                return
            self._failed.append(failed)
            if sum(self._failed) >= self._rules.failures:
                self._enter("open")

    def _rest(self) -> None:
        if self._state == "open" and self._clock() - self._opened_s >= self._rules.rest_s:
            self._enter("half-open")

    def _enter(self, state: State) -> None:
        self._state, self._era, self._probing = state, self._era + 1, False
        self._failed.clear()
        if state == "open":
            self._opened_s = self._clock()


class TokenBucket:
    """At most ``burst`` calls at once and ``per_minute`` in the long run; without a rate, as many as one likes."""

    def __init__(self, per_minute: float | None, burst: int = 10, clock: Clock = time.monotonic) -> None:
        self._per_second = None if per_minute is None else per_minute / 60
        self._burst = burst
        self._clock = clock
        self._lock = threading.Lock()
        self._tokens = float(burst)
        self._filled_s = clock()

    def take(self) -> bool:
        """Take the token of one call; False where there is none."""
        if self._per_second is None:
            return True
        with self._lock:
            now = self._clock()
            self._tokens = min(self._burst, self._tokens + (now - self._filled_s) * self._per_second)
            self._filled_s = now
            if self._tokens < 1:
                return False
            self._tokens -= 1
            return True


BASE_S = 0.02
CAP_S = 0.5


class RetryBudget:
    """Retries may be at most a tenth of the calls: every call earns ``share`` of a retry, at most ``most`` are saved.

    Where a server is down, clients that retry would otherwise multiply its load. The budget starts empty, so that the
    bound holds from the first call on.
    """

    def __init__(self, share: float = 0.1, most: float = 10.0) -> None:
        self._share, self._most = share, most
        self._lock = threading.Lock()
        self._saved = 0.0

    def earn(self) -> None:
        """Note one call that is made anyway."""
        with self._lock:
            self._saved = min(self._most, self._saved + self._share)

    def take(self) -> bool:
        """Take one retry; False where none was earned."""
        with self._lock:
            if self._saved < 1 - 1e-9:  # ten times 0.1 is a little less than 1
                return False
            self._saved -= 1
            return True


def backoff_s(attempt: int, chance: random.Random) -> float:
    """Return the seconds to wait before retry number ``attempt`` (from 0): exponential, with full jitter.

    Source: M. Brooker, "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015).
    """
    return chance.uniform(0, min(CAP_S, BASE_S * 2**attempt))
