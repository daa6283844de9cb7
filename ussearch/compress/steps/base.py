"""What a step of the chain is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal, Protocol

from typing_extensions import Self

from ussearch.compress.candidate import CompressionCandidate
from ussearch.compress.context import Context
from ussearch.registry import Registry

Failure = Literal["worse", "slower", "impossible"]
"""Why a step is not kept."""


class Step(Protocol):
    """One transformation, at one strength. A step is a value: ``settings`` name everything it depends on itself."""

    name: ClassVar[str]

    @property
    def retrains(self) -> bool:
        """Whether the network is trained again; the gate asks for more evidence then."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """How strong it is, JSON-ready."""

    def skip_reason(self, candidate: CompressionCandidate, context: Context) -> str:
        """Return why the step cannot or need not be tried, or an empty string."""

    def trainings(self) -> int:
        """Return how many times ``context.epochs`` epochs it trains, its control included."""

    def apply(self, candidate: CompressionCandidate, context: Context) -> CompressionCandidate:
        """Return the candidate after the step; raises UserError where the device's rules cannot be kept.

        It may have changed nothing (then it is undone) and must be the same for the same candidate and context.
        """

    def control(self, candidate: CompressionCandidate, context: Context) -> CompressionCandidate | None:
        """Return the candidate after the same training without the step; None where nothing is trained."""

    def relaxed(self, failure: Failure = "worse") -> Self | None:
        """Return the step at less strength, to be tried where this one fails; None where there is none.

        ``failure``: Dice was lost, the device became slower, or nothing could be made of the candidate.
        """


STEPS: Registry[Callable[[], Step]] = Registry("step")
"""In the order of a chain."""
