"""The chosen candidates trained at full length, more than once; all attempts are kept, the best counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from safetensors.torch import load_file

from ussearch.errors import UserError
from ussearch.evaluators import EpochRecord, Evaluation, Tier, TrainEvaluator
from ussearch.files import remove_folder
from ussearch.pairs.delivery.tasks import (
    WEIGHTS,
    Attempt,
    Course,
    FullTrainingFailed,
    InitialWeights,
    OnCourseEpoch,
    Work,
)
from ussearch.search_spaces import Architecture, Network, build
from ussearch.studies import Study
from ussearch.studies.executors import EpochDone, ExecutorFactory, Message, in_this_process, run_tasks
from ussearch.studies.suggest import derived_seed


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
    staffing: ExecutorFactory = in_this_process,
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
    for course in courses:  # what a kill, or other settings, left beside a result that is kept
        remove_folder(course.folder / "attempts")
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
    works: Sequence[Work], evaluator: TrainEvaluator, staffing: ExecutorFactory, on_epoch: OnCourseEpoch | None
) -> None:
    """Train every attempt that is not finished; one whose worker was lost is tried once more."""
    ahead = [(work, attempt) for work in works for attempt in work.course.attempts if not work.attempted(attempt)]

    def tell(message: Message) -> None:
        if on_epoch and isinstance(message, EpochDone):
            work, attempt = ahead[message.trial_id]
            on_epoch(work.course, attempt, message.record)

    tasks = [work.task(number, attempt) for number, (work, attempt) in enumerate(ahead)]
    for outcome in run_tasks(tasks, evaluator, staffing, tell):
        work, attempt = ahead[outcome.trial_id]
        work.keep(attempt, outcome)


FULL_TRAINING = 2
"""Purpose of the derived seed, apart from sampling (0) and the search's training (1)."""

OnFinalistEpoch = Callable[[Tier, EpochRecord, int, str], None]
"""(end, what the epoch did, how many there are, which of several trainings it belongs to, in words)."""


@dataclass(frozen=True)
class Finalist:
    """One end of the pair after its full training."""

    tier: Tier
    trial_id: int
    network: Network
    evaluation: Evaluation
    weights: Path


def finalist_folder(study: Study, trial_id: int) -> Path:
    """Return where the study keeps a finalist; one that serves both ends is trained once."""
    return study.folder / "finalists" / f"{trial_id:04d}"


def finalist_seed(study: Study, trial_id: int) -> int:
    """Return the seed of a finalist's first training."""
    return derived_seed(study.config.seed, trial_id, FULL_TRAINING)


def train_finalists(
    study: Study,
    evaluator: TrainEvaluator,
    trial_ids: Mapping[Tier, int],
    on_epoch: OnFinalistEpoch | None = None,
    *,
    staffing: ExecutorFactory = in_this_process,
    initial: InitialWeights | None = None,
) -> dict[Tier, Finalist]:
    """Train the candidates in ``trial_ids`` at full length, as ``full_training.train_fully`` does, and keep them there.

    Raises UserError where the training of one fails.
    """
    tiers: dict[int, Tier] = {}
    for tier, trial_id in trial_ids.items():
        tiers.setdefault(trial_id, tier)  # one that serves both is trained once
    courses = [
        Course(
            finalist_folder(study, trial_id),
            study.architecture(trial_id),
            finalist_seed(study, trial_id),
            study.config.final_restarts,
            initial,
        )
        for trial_id in tiers
    ]
    trial_id_of = dict(zip((course.folder for course in courses), tiers, strict=True))

    def tell(course: Course, attempt: Attempt, record: EpochRecord) -> None:
        if on_epoch:
            on_epoch(tiers[trial_id_of[course.folder]], record, evaluator.recipe.epochs, attempt.title)

    try:
        trained = train_fully(courses, evaluator, staffing=staffing, on_epoch=tell)
    except FullTrainingFailed as error:
        trial_id, reason = trial_id_of[error.course.folder], str(error).rstrip(".")
        raise UserError(
            f"Trial {trial_id} cannot serve as the {tiers[trial_id]} network ({reason}): choose another trial."
        ) from error
    found = dict(zip(tiers, trained, strict=True))
    return {tier: _finalist(tier, trial_id, found[trial_id]) for tier, trial_id in trial_ids.items()}


def _finalist(tier: Tier, trial_id: int, trained: FullTraining) -> Finalist:
    return Finalist(tier, trial_id, trained.network(), trained.evaluation, trained.weights)
