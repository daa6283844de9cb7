"""When a call that failed is tried again: seldom, later, and not by all clients at the same moment."""

from __future__ import annotations

import random
import threading

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
