"""Training architectures at full length, more than once: every attempt is recorded, the best on validation is kept.

FOLDER/record.json                what it was made from, all attempts, the evaluation of the best
FOLDER/architecture.yaml  weights.safetensors
FOLDER/attempts/                  while it lasts: finished attempts, and the checkpoints of those that are training
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from safetensors.torch import load_file

from ussearch.evaluators import Evaluation, TrainEvaluator
from ussearch.pairs.attempts import WEIGHTS, Work
from ussearch.pairs.courses import Course, OnCourseEpoch
from ussearch.search_spaces import Architecture, Network, build
from ussearch.studies.executors import EpochDone, Message, Staffing, carried_out, in_this_process


@dataclass(frozen=True)
class FullTraining:
    """The best of the attempts, as it is kept in ``folder``."""

    folder: Path
    architecture: Architecture
    evaluation: Evaluation

    @property
    def weights(self) -> Path:
        """The file with the weights."""
        return self.folder / WEIGHTS

    def network(self) -> Network:
        """Return the trained network in training form and evaluation mode, on the CPU."""
        network = build(self.architecture)
        network.load_state_dict(load_file(self.weights))
        return network.eval()


def train_fully(
    courses: Sequence[Course],
    evaluator: TrainEvaluator,
    *,
    staffing: Staffing = in_this_process,
    on_epoch: OnCourseEpoch | None = None,
) -> tuple[FullTraining, ...]:
    """Make every attempt of every course at the length of ``evaluator.recipe``, and keep each course's best.

    ``staffing`` has workers that train the attempts of all courses side by side. A result that is there already and was
    made from the same is taken as it is; after a kill, finished attempts are kept and those that were training go on
    from their checkpoints.

    Raises FullTrainingFailed for the first course of which every attempt failed, with the reason.
    """
    works = [Work(course, evaluator) for course in courses]
    _train_attempts([work for work in works if work.kept() is None], evaluator, staffing, on_epoch)
    best = [work.kept() or work.best() for work in works]
    for course in courses:
        shutil.rmtree(course.folder / "attempts", ignore_errors=True)
    # NOTE: what a network costs depends on the profiles of today, not on those that it was trained beside.
    return tuple(
        FullTraining(
            course.folder,
            course.architecture,
            found.model_copy(update={"costs": evaluator.costs(course.architecture)}),
        )
        for course, found in zip(courses, best, strict=True)
    )


def _train_attempts(
    works: Sequence[Work], evaluator: TrainEvaluator, staffing: Staffing, on_epoch: OnCourseEpoch | None
) -> None:
    """Train every attempt that is not finished; one whose worker was lost is tried once more."""
    ahead = [(work, attempt) for work in works for attempt in work.course.attempts if not work.attempted(attempt)]

    def tell(message: Message) -> None:
        if on_epoch and isinstance(message, EpochDone):
            work, attempt = ahead[message.slot]
            on_epoch(work.course, attempt, message.record)

    jobs = [work.job(number, attempt) for number, (work, attempt) in enumerate(ahead)]
    for outcome in carried_out(jobs, evaluator, staffing, tell):
        work, attempt = ahead[outcome.slot]
        work.keep(attempt, outcome)
