"""The chosen candidates, trained at full length and kept in the study."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ussearch.errors import UserError
from ussearch.evaluators import End, EpochRecord, Evaluation, TrainEvaluator
from ussearch.pairs.courses import Attempt, Course, FullTrainingFailed, InitialWeights
from ussearch.pairs.full_training import FullTraining, train_fully
from ussearch.search_spaces import Network
from ussearch.studies import Study
from ussearch.studies.drafting import derived_seed
from ussearch.studies.executors import Staffing, in_this_process

FULL_TRAINING = 2
"""Purpose of the derived seed, apart from sampling (0) and the search's training (1)."""

OnFinalistEpoch = Callable[[End, EpochRecord, int, str], None]
"""(end, what the epoch did, how many there are, which of several trainings it belongs to, in words)."""


@dataclass(frozen=True)
class Finalist:
    """One end of the pair after its full training."""

    end: End
    slot: int
    network: Network
    evaluation: Evaluation
    weights: Path


def finalist_folder(study: Study, slot: int) -> Path:
    """Return where the study keeps a finalist; one that serves both ends is trained once."""
    return study.folder / "finalists" / f"{slot:04d}"


def finalist_seed(study: Study, slot: int) -> int:
    """Return the seed of a finalist's first training."""
    return derived_seed(study.config.seed, slot, FULL_TRAINING)


def train_finalists(
    study: Study,
    evaluator: TrainEvaluator,
    slots: Mapping[End, int],
    on_epoch: OnFinalistEpoch | None = None,
    *,
    staffing: Staffing = in_this_process,
    initial: InitialWeights | None = None,
) -> dict[End, Finalist]:
    """Train the candidates in ``slots`` at full length, as ``full_training.train_fully`` does, and keep them there.

    Raises UserError where the training of one fails.
    """
    ends: dict[int, End] = {}
    for end, slot in slots.items():
        ends.setdefault(slot, end)  # one that serves both is trained once
    courses = [
        Course(
            finalist_folder(study, slot),
            study.architecture(slot),
            finalist_seed(study, slot),
            study.config.final_seeds,
            initial,
        )
        for slot in ends
    ]
    slot_of = dict(zip((course.folder for course in courses), ends, strict=True))

    def tell(course: Course, attempt: Attempt, record: EpochRecord) -> None:
        if on_epoch:
            on_epoch(ends[slot_of[course.folder]], record, evaluator.recipe.epochs, attempt.title)

    try:
        trained = train_fully(courses, evaluator, staffing=staffing, on_epoch=tell)
    except FullTrainingFailed as error:
        slot, reason = slot_of[error.course.folder], str(error).rstrip(".")
        raise UserError(
            f"Trial {slot} cannot serve as the {ends[slot]} network ({reason}): choose another trial."
        ) from error
    found = dict(zip(ends, trained, strict=True))
    return {end: _finalist(end, slot, found[slot]) for end, slot in slots.items()}


def _finalist(end: End, slot: int, trained: FullTraining) -> Finalist:
    return Finalist(end, slot, trained.network(), trained.evaluation, trained.weights)
