"""What happens on the road from data to bundle, for those who watch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ussearch.compress import StepRecord, UniformRecord
from ussearch.evaluators import EpochRecord, Tier
from ussearch.pairs import Pair
from ussearch.studies.events import Event as SearchEvent
from ussearch.studies.plan import Plan


@dataclass(frozen=True)
class StageStarted:
    """A stage of the road begins."""

    name: str


@dataclass(frozen=True)
class PlanReady:
    """Everything is decided, nothing is trained yet; ``folder`` is where the study will be."""

    plan: Plan
    folder: Path


@dataclass(frozen=True)
class PairChosen:
    """The candidates for both ends are known; their full training begins."""

    pair: Pair


@dataclass(frozen=True)
class FinalistEpoch:
    """One end of the pair has trained one of ``epochs`` epochs."""

    tier: Tier
    record: EpochRecord
    epochs: int
    training: str = ""
    """Which of several trainings of that end it belongs to, in words."""


@dataclass(frozen=True)
class CompressionEpoch:
    """A step of the chain has trained one of ``epochs`` epochs; ``title`` says what for."""

    title: str
    record: EpochRecord
    epochs: int


@dataclass(frozen=True)
class StepJudged:
    """A step of the chain was tried and judged."""

    record: StepRecord


@dataclass(frozen=True)
class UniformJudged:
    """Uniform width scaling was held against the pruned network."""

    record: UniformRecord


@dataclass(frozen=True)
class FoldEpoch:
    """A network of a fold (of ``folds``) has trained one of ``epochs`` epochs, for the router."""

    fold: int
    tier: Tier
    record: EpochRecord
    folds: int
    epochs: int

    @property
    def title(self) -> str:
        """Which training it belongs to, in words."""
        return f"router, fold {self.fold} of {self.folds}, {self.tier}"


Event = (
    StageStarted
    | PlanReady
    | PairChosen
    | FinalistEpoch
    | CompressionEpoch
    | StepJudged
    | UniformJudged
    | FoldEpoch
    | SearchEvent
)
OnEvent = Callable[[Event], None]


def ignore(event: Event) -> None:
    """Listen to nothing."""
