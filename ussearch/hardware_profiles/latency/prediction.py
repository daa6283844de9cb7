"""A predicted latency, with how far it can be trusted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

DATASHEET_FACTOR = 2.5
"""Datasheet rooflines are about this much optimistic: measured 2.56 on a Jetson Nano, 2.4 to 2.5 on a Raspberry Pi 4,
2.33 on a Pi 5 (YOLOBench). What no measurement covers is taken to be wrong by as much, either way.
"""
UNCOVERED_LIMIT = 0.1
"""Share of the milliseconds from which on kernels outside the measurements make a prediction an extrapolation."""


@dataclass(frozen=True)
class LatencyPrediction:
    """A latency in milliseconds and what it is made of.

    ``per_kernel_ms`` and ``call_ms`` sum to ``latency_ms``. Nine in ten networks like those measured lie between
    ``low_ms`` and ``high_ms``; what was not measured widens the interval by ``DATASHEET_FACTOR``. ``uncovered`` gives
    the milliseconds of each class of kernels that the measurements lack; ``unpriced`` names operators whose arithmetic
    is unknown (only their traffic and launch are charged); ``outside`` says which total no measured network reached.
    """

    latency_ms: float
    low_ms: float
    high_ms: float
    per_kernel_ms: tuple[float, ...]
    call_ms: float
    label: str
    uncovered: Mapping[str, float]
    unpriced: tuple[str, ...]
    outside: tuple[str, ...]

    @property
    def uncovered_share(self) -> float:
        """Share of the milliseconds in kernels that the measurements lack."""
        return sum(self.uncovered.values()) / self.latency_ms if self.latency_ms else 0.0

    @property
    def extrapolated(self) -> bool:
        """Whether over a tenth of the milliseconds is in kernels that the measurements lack."""
        return self.uncovered_share > UNCOVERED_LIMIT
