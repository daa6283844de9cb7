"""Weights far from all others are brought back, so that rounding to INT8 need not span them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from torch import Tensor

from ussearch.compress.candidate import CompressionCandidate
from ussearch.compress.context import Context
from ussearch.compress.steps.base import STEPS, Failure

MILDEST = 8.0


@STEPS.register("clip")
@dataclass(frozen=True)
class Clip:
    """Keep every convolution's weights within ``deviations`` standard deviations of their mean."""

    deviations: float = 3.0
    name: ClassVar[str] = "clip"
    retrains: ClassVar[bool] = False

    @property
    def settings(self) -> Mapping[str, Any]:
        """How far a weight may lie from the mean."""
        return {"deviations": self.deviations}

    def skip_reason(self, candidate: CompressionCandidate, context: Context) -> str:
        """Return why there is nothing to do."""
        return "the weights are rounded already" if candidate.precision == "int8" else ""

    def trainings(self) -> int:
        """Return 0: nothing is trained."""
        return 0

    def apply(self, candidate: CompressionCandidate, context: Context) -> CompressionCandidate:
        """Return the candidate with clipped weights; those that came in stay as they are."""
        kernels = {name: self._clipped(value) for name, value in candidate.weights.items() if value.dim() == 4}
        return replace(candidate, weights={**candidate.weights, **kernels})

    def control(self, candidate: CompressionCandidate, context: Context) -> None:
        """Return None: nothing is trained."""

    def relaxed(self, failure: Failure = "worse") -> Clip | None:
        """Return the step that clips half as far out; None past eight standard deviations."""
        further = 1.5 * self.deviations
        return replace(self, deviations=further) if further <= MILDEST else None

    def _clipped(self, weights: Tensor) -> Tensor:
        middle, reach = weights.mean(), self.deviations * weights.std(unbiased=False)
        return weights.clamp(middle - reach, middle + reach)
