"""What every latency model is, something that puts a price on kernels, and what it predicts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import Self

from ussearch.hardware_profiles.kernels.kernel import Kernel


class LatencyModel(BaseModel, ABC):
    """Milliseconds of one forward pass, batch 1: a sum over kernels and a price for the call itself.

    A model says what each kernel costs. What the sum is worth (interval, coverage) is known to the profile, which
    holds the record of how the model was validated.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kind: str
    ms_per_call: float = Field(default=0.0, ge=0)

    @abstractmethod
    def kernel_ms(self, kernels: Sequence[Kernel]) -> tuple[float, ...]:
        """Return the milliseconds of each kernel, none negative, in the order given."""

    @abstractmethod
    def times(self, factor: float) -> Self:
        """Return the model of a device that takes ``factor`` times as long for everything."""

    def total_ms(self, kernels: Sequence[Kernel]) -> float:
        """Return the milliseconds of one forward pass."""
        return sum(self.kernel_ms(kernels)) + self.ms_per_call


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
