"""The circuit breaker: a server that fails is left alone for a while and then asked once.

Closed, calls pass and their outcomes are kept. Open, none passes. After the rest one probe passes (half-open): its
success closes the circuit, its failure opens it again. Source: M. Nygard, Release It!, "Circuit Breaker".
"""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Literal

from ussearch.pairs.client.deadline import Clock

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
