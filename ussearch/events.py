"""What happens on the road from data to bundle, for those who watch; whoever listens draws it. Nothing here prints.

A leaf: it names the records of other rooms for the type checker alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ussearch.deprecations import old_attribute, python_name

if TYPE_CHECKING:
    from ussearch.compress import StepRecord, WidthMultiplierRecord
    from ussearch.evaluators import CostsByTier, EpochRecord, Tier
    from ussearch.pairs import Pair
    from ussearch.pairs.bundles.ensemble import EnsembleChoice
    from ussearch.search_spaces import Architecture
    from ussearch.studies import Role, TrialRecord
    from ussearch.studies.plan import Plan


@dataclass(frozen=True)
class StageStarted:
    """A stage of the road begins."""

    name: str


@dataclass(frozen=True)
class FilesRead:
    """So many files of the data set, of so many, were looked at, or decoded for training."""

    done: int
    total: int


@dataclass(frozen=True)
class PlanReady:
    """Everything is decided, nothing is trained yet; ``folder`` is where the study will be."""

    plan: Plan
    folder: Path


@dataclass(frozen=True)
class TrainingEpoch:
    """A training has done one of ``epochs`` epochs: a trial's, a finalist's, that of a fold or of a step of the chain.

    ``trial_id`` is known of trials of the search, ``tier`` of networks of the pair that are trained at full length.
    """

    title: str
    """Which training it is, in words."""
    record: EpochRecord
    epochs: int
    trial_id: int | None = None
    tier: Tier | None = None

    def __str__(self) -> str:
        return f"{self.title}: epoch {self.record.epoch} of {self.epochs}"


@dataclass(frozen=True)
class SearchStarted:
    """A search begins or continues: ``finished`` of ``total`` trials are there already."""

    finished: int
    total: int
    expected: int | None = None
    """About how many trials there will be, where a clock ends the search; ``total`` is then the most."""


@dataclass(frozen=True)
class CandidateSkipped:
    """A preset is not trained, for the reason given."""

    name: str
    reason: str


@dataclass(frozen=True)
class TrialStarted:
    """Training of a candidate begins."""

    trial_id: int
    role: Role
    architecture: Architecture
    costs: CostsByTier
    slot = old_attribute("ussearch.events.TrialStarted", "slot")


@dataclass(frozen=True)
class TrialRepeated:
    """A trial's worker was lost, for the reason given; the trial begins anew."""

    trial_id: int
    reason: str
    slot = old_attribute("ussearch.events.TrialRepeated", "slot")


@dataclass(frozen=True)
class TrialFinished:
    """A candidate is finished, well or not; ``front`` is the edge front of all finished trials."""

    record: TrialRecord
    front: tuple[TrialRecord, ...]


@dataclass(frozen=True)
class SearchFinished:
    """The search has ended; ``shortfall`` says why there are fewer trials than asked for, if so."""

    finished: int
    total: int
    shortfall: str | None = None
    front: tuple[TrialRecord, ...] = ()
    """The edge front of all finished trials, those of earlier runs included."""


@dataclass(frozen=True)
class PairChosen:
    """The candidates for both ends are known; their full training begins."""

    pair: Pair


@dataclass(frozen=True)
class EnsembleChosen:
    """Averages for the cloud were measured: what answers there is known."""

    choice: EnsembleChoice


@dataclass(frozen=True)
class StepEvaluated:
    """A step of the chain was tried and judged."""

    record: StepRecord


@dataclass(frozen=True)
class WidthMultiplierEvaluated:
    """Uniform width scaling was held against the pruned network."""

    record: WidthMultiplierRecord


Event = (
    StageStarted
    | FilesRead
    | PlanReady
    | TrainingEpoch
    | SearchStarted
    | CandidateSkipped
    | TrialStarted
    | TrialRepeated
    | TrialFinished
    | SearchFinished
    | PairChosen
    | EnsembleChosen
    | StepEvaluated
    | WidthMultiplierEvaluated
)
OnEvent = Callable[[Event], None]


def ignore(event: Event) -> None:
    """Listen to nothing."""


def __getattr__(name: str) -> Any:
    """Return events by the names that they had before 0.2.0."""
    new = python_name("ussearch.events", name)
    if new not in globals():
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return globals()[new]
