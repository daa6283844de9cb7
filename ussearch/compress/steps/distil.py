"""Learning from the cloud network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from ussearch.compress.candidate import CompressionCandidate
from ussearch.compress.context import Context
from ussearch.compress.distillation import DistillationSettings
from ussearch.compress.retraining import retrained
from ussearch.compress.steps.base import STEPS, Failure


@STEPS.register("distil")
@dataclass(frozen=True)
class Distil:
    """Train on with what the teachers say; the control trains on as long with the masks alone."""

    name: ClassVar[str] = "distil"
    retrains: ClassVar[bool] = True

    @property
    def settings(self) -> Mapping[str, Any]:
        """Weights of the parts of the loss."""
        return DistillationSettings().model_dump(mode="json")

    def skip_reason(self, candidate: CompressionCandidate, context: Context) -> str:
        """Return why there is nothing to learn from."""
        return "" if context.teachers else "there is no stronger network to learn from"

    def trainings(self) -> int:
        """Return 2: the step's and its control's."""
        return 2

    def apply(self, candidate: CompressionCandidate, context: Context) -> CompressionCandidate:
        """Return the candidate after its training."""
        return retrained(candidate, context, context.epochs, "distil")

    def control(self, candidate: CompressionCandidate, context: Context) -> CompressionCandidate:
        """Return the candidate after a training of the same length and seed that only sees masks."""
        return retrained(candidate, context, context.epochs, "distil, control", taught=False)

    def relaxed(self, failure: Failure = "worse") -> None:
        """Return None: it helps or not."""
