"""What a search tells while it runs; whoever listens draws it. Nothing here prints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ussearch.evaluators import CostsByTier, EpochRecord
from ussearch.evaluators.shared.sandwich import SharedEpoch
from ussearch.evaluators.trust import Trust
from ussearch.search_spaces import Architecture
from ussearch.studies.records import Role, TrialRecord


@dataclass(frozen=True)
class SearchStarted:
    """A search begins or continues: ``finished`` of ``total`` trials are there already."""

    finished: int
    total: int


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


@dataclass(frozen=True)
class TrialRepeated:
    """A trial's worker was lost, for the reason given; the trial begins anew."""

    trial_id: int
    reason: str


@dataclass(frozen=True)
class EpochFinished:
    """A candidate has trained one of ``epochs`` epochs."""

    trial_id: int
    record: EpochRecord
    epochs: int


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
class SharedWeightsTrained:
    """The weights that all architectures share were trained for one more epoch."""

    epoch: SharedEpoch


@dataclass(frozen=True)
class RungMeasured:
    """It is known how well a rung ranks, and what it costs for one candidate."""

    fidelity: str
    seconds: float
    trust: Trust


@dataclass(frozen=True)
class RungChosen:
    """Candidates are judged on this rung from now on; ``trained`` where none may be trusted."""

    fidelity: str


Event = (
    SearchStarted
    | CandidateSkipped
    | TrialStarted
    | TrialRepeated
    | EpochFinished
    | TrialFinished
    | SearchFinished
    | SharedWeightsTrained
    | RungMeasured
    | RungChosen
)
OnEvent = Callable[[Event], None]


def ignore(event: Event) -> None:
    """Listen to nothing."""
