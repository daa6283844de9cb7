"""The deploy form: norms folded, pairs and parallel branches merged, exactly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from ussearch.compress.candidate import CompressionCandidate
from ussearch.compress.context import Context
from ussearch.compress.steps.base import STEPS, Failure


@STEPS.register("fuse")
@dataclass(frozen=True)
class Fuse:
    """Send the deploy form (``search_spaces.deploy``) instead of the training form."""

    name: ClassVar[str] = "fuse"
    retrains: ClassVar[bool] = False

    @property
    def settings(self) -> Mapping[str, Any]:
        """There are none."""
        return {}

    def skip_reason(self, candidate: CompressionCandidate, context: Context) -> str:
        """Return why there is nothing to do."""
        return "it is in the deploy form already" if candidate.fused else ""

    def trainings(self) -> int:
        """Return 0: nothing is trained."""
        return 0

    def apply(self, candidate: CompressionCandidate, context: Context) -> CompressionCandidate:
        """Return the candidate in deploy form; its weights stay those of the training form, for later steps."""
        return replace(candidate, fused=True)

    def control(self, candidate: CompressionCandidate, context: Context) -> None:
        """Return None: nothing is trained."""

    def relaxed(self, failure: Failure = "worse") -> None:
        """Return None: it is done or not."""
