"""One stretch of a search: up to which slot it goes, and how its candidates come to be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ussearch.studies.config import StudyConfig
from ussearch.studies.drafting import Candidate
from ussearch.studies.records import TrialRecord


def as_it_is(record: TrialRecord) -> TrialRecord | None:
    """Learn from a record as it stands."""
    return record


@dataclass(frozen=True)
class Stretch:
    """Part of a search whose candidates are all judged in one way.

    Attributes:
        until: slots below this number are filled.
        config: what candidates are drafted by, such as another sampler than the study's.
        learnt: how drafts see the record of an earlier slot; None where it says nothing to them, such as accuracy that
            was come by otherwise.
        given: candidates that are not drafted, by slot.
    """

    until: int
    config: StudyConfig
    learnt: Callable[[TrialRecord], TrialRecord | None] = as_it_is
    given: Mapping[int, Candidate] = field(default_factory=dict)

    @classmethod
    def whole(cls, config: StudyConfig) -> Stretch:
        """Return the search of a study that judges all of its candidates alike."""
        return cls(config.trials, config)
