"""The call budget: a token bucket, so that a bill or a shared line has an upper bound."""

from __future__ import annotations

import threading
import time

from ussearch.pairs.client.deadline import Clock


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
