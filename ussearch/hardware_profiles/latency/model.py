"""What every latency model is: something that puts a price on kernels."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

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
