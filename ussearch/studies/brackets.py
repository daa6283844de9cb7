"""Brackets of a study: which slots belong together, and what is to be done next with each of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from ussearch.evaluators import Evaluation
from ussearch.studies.config import StudyConfig
from ussearch.studies.halving import Decisions, Reached, decide
from ussearch.studies.records import Role, TrialRecord


@dataclass(frozen=True)
class Brackets:
    """Slots in groups of ``size``: slots 0 to 8 are the first bracket, and so on; the last one may be smaller.

    A bracket is drafted before any of it has been trained, from the records of the brackets before it, and its
    decisions follow from the histories of its trials alone. A study that was killed finds them in records and
    checkpoints, and decides as it did before.
    """

    size: int
    lengths: tuple[int, ...]
    eta: int

    @classmethod
    def of(cls, config: StudyConfig) -> Brackets | None:
        """Return the brackets of a study; None where every candidate is trained at full length."""
        if config.halving is None:
            return None
        return cls(config.halving.bracket, config.halving.epochs(config.recipe.epochs), config.halving.eta)

    def start(self, trial_id: int) -> int:
        """Return the first slot of the bracket of ``trial_id``."""
        return trial_id // self.size * self.size

    def members(self, trial_id: int, drafted: int) -> range:
        """Return the slots of the bracket of ``trial_id`` when the first ``drafted`` slots of the study are."""
        return range(self.start(trial_id), min(self.start(trial_id) + self.size, drafted))

    def decide(self, members: range, records: Mapping[int, TrialRecord], waiting: Mapping[int, Reached]) -> Decisions:
        """Return what is to be done with a bracket, given its finished trials and those that wait at a rung."""
        reached: dict[int, Reached | None] = dict.fromkeys(members) | dict(waiting)
        for trial_id in members:
            if trial_id in records:
                # NOTE: what was stopped stays stopped, even if a study that asks for more trials fills its bracket up.
                reached[trial_id] = replace(
                    reached_by(records[trial_id].role, records[trial_id].evaluation), ended=True
                )
        return decide(reached, self.lengths, self.eta)


def reached_by(role: Role, evaluation: Evaluation) -> Reached:
    """Return how far a candidate has come; a preset competes for the device where it fits it, else for the cloud."""
    if role == "preset":
        return Reached.of(evaluation, "edge" if evaluation.costs["edge"].feasible else "cloud")
    return Reached.of(evaluation, role)
