"""One moment until which everything must be done, on a clock that never jumps."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

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
