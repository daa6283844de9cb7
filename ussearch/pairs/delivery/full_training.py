"""The chosen candidates trained at full length, more than once; all runs are recorded, the best counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file

from ussearch import schema
from ussearch.errors import UserError
from ussearch.evaluators import Evaluation, Tier, TrainEvaluator
from ussearch.evaluators.inheritance import Relative
from ussearch.events import OnEvent, TrainingEpoch, ignore
from ussearch.files import remove_folder
from ussearch.pairs.delivery.tasks import (
    RECORD,
    RETRAIN,
    WEIGHTS,
    FullTraining,
    FullTrainingFailed,
    TaskStore,
)
from ussearch.search_spaces import Architecture, Network, SearchSpace, build
from ussearch.studies import FullLength, Study
from ussearch.studies.damage import intact
from ussearch.studies.executors import EpochDone, ExecutorFactory, Message, in_this_process, run_tasks
from ussearch.studies.suggest import derived_seed


@dataclass(frozen=True)
class TrainedNetwork:
    """The best of the runs of ``training``, as it is kept in its folder."""

    training: FullTraining
    evaluation: Evaluation

    @property
    def weights(self) -> Path:
        """The file with the weights."""
        return self.training.folder / WEIGHTS

    @property
    def trial_id(self) -> int:
        """The trial of the study that was trained; raises ValueError for a network that is none."""
        if self.training.trial_id is None:
            raise ValueError(f"the network in {self.training.folder} is no trial of a study")
        return self.training.trial_id

    def network(self) -> Network:
        """Return the trained network in training form and evaluation mode, on the CPU."""
        return network_of(self.training.architecture, self.weights)

    def attempts(self) -> list[dict[str, Any]]:
        """Return what is recorded of each run, in their order; ``weights`` names its file where it was kept."""
        path = self.training.folder / RECORD
        with intact(path, RETRAIN):
            return [{"weights": WEIGHTS if each["kept"] else None, **each} for each in _attempts(path)]


def network_of(architecture: Architecture, weights: Path) -> Network:
    """Return the network with the weights in a file, in training form and evaluation mode, on the CPU."""
    network = build(architecture)
    with intact(weights, RETRAIN):
        network.load_state_dict(load_file(weights))
    return network.eval()


def _attempts(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = schema.FULL_TRAINING.read(path)["attempts"]
    return found


def train_fully(
    trainings: Sequence[FullTraining],
    evaluator: TrainEvaluator,
    *,
    make_executor: ExecutorFactory = in_this_process,
    on_event: OnEvent = ignore,
) -> tuple[TrainedNetwork, ...]:
    """Make every run of every training at the length of ``evaluator.recipe``, and keep each training's best.

    ``make_executor`` has workers that make the runs of all trainings side by side. A result that is there already and
    was made from the same is taken as it is; after a kill, finished runs are kept and those that were training go on
    from their checkpoints.

    Raises FullTrainingFailed for the first training of which every run failed, with the reason.
    """
    stores = [TaskStore(training, evaluator) for training in trainings]
    _make_runs([store for store in stores if store.kept() is None], evaluator, make_executor, on_event)
    best = [store.kept() or store.best() for store in stores]
    for training in trainings:  # what a kill, or other settings, left beside a result that is kept
        remove_folder(training.folder / "attempts")
    # NOTE: what a network costs depends on the profiles of today, not on those that it was trained beside.
    return tuple(
        TrainedNetwork(training, found.model_copy(update={"costs": evaluator.costs(training.architecture)}))
        for training, found in zip(trainings, best, strict=True)
    )


def _make_runs(
    stores: Sequence[TaskStore], evaluator: TrainEvaluator, make_executor: ExecutorFactory, on_event: OnEvent
) -> None:
    """Make every run that is not finished; one whose worker was lost is tried once more."""
    # NOTE: ends have as much time as each other, so that one of fewer runs has the longer ones, which begin first.
    ordered = sorted(stores, key=lambda store: len(store.training.runs))
    ahead = [(store, run) for store in ordered for run in store.training.runs if not store.finished(run)]
    tasks = [store.task(run, number) for number, (store, run) in enumerate(ahead)]

    def tell(message: Message) -> None:
        if isinstance(message, EpochDone):
            task, (store, _) = tasks[message.trial_id], ahead[message.trial_id]
            on_event(TrainingEpoch(task.title, message.record, store.recipe.epochs, tier=store.training.tier))

    for outcome in run_tasks(tasks, evaluator, make_executor, tell):
        store, run = ahead[outcome.trial_id]
        store.keep(run, outcome)


FULL_TRAINING = 2
"""Purpose of the derived seed, apart from sampling (0) and the search's training (1)."""


def finalist_folder(study: Study, trial_id: int) -> Path:
    """Return where the study keeps a finalist; one that serves both ends is trained once."""
    return study.folder / "finalists" / f"{trial_id:04d}"


def finalist_seed(study: Study, trial_id: int) -> int:
    """Return the seed of a finalist's first training."""
    return derived_seed(study.config.seed, trial_id, FULL_TRAINING)


def trained_relative(study: Study, trial_id: int) -> Relative | None:
    """Return a trial as what its full training goes on from; None where it starts afresh.

    That is so in studies of 0.1, and where the search deleted the weights of a beaten trial.
    """
    goes_on = isinstance(study.config.search_space, SearchSpace) and study.has_weights(trial_id)
    return study.relative(trial_id) if goes_on else None


def length_of(study: Study, trial_id: int) -> FullLength:
    """Return how long a trial was trained in full; the edge's length where it was not."""
    folder = finalist_folder(study, trial_id)
    if not (folder / RECORD).is_file():
        return study.config.full_length("edge")
    with intact(folder / RECORD, RETRAIN):
        epochs = int(schema.FULL_TRAINING.read(folder / RECORD)["evaluation"]["epochs"])
        starts = [each["start"] for each in _attempts(folder / RECORD)]
    return FullLength(epochs=epochs, restarts=starts.count("scratch"))


def train_finalists(
    study: Study,
    evaluator: TrainEvaluator,
    trial_ids: Mapping[Tier, int],
    on_event: OnEvent = ignore,
    *,
    make_executor: ExecutorFactory = in_this_process,
) -> dict[Tier, TrainedNetwork]:
    """Train the candidates in ``trial_ids`` at full length, as ``full_training.train_fully`` does, and keep them there.

    Raises UserError where the training of one fails.
    """
    tiers: dict[int, Tier] = {}
    for tier, trial_id in trial_ids.items():
        tiers.setdefault(trial_id, tier)  # one that serves both is trained once
    lengths = {tier: study.config.full_length(tier) for tier in tiers.values()}
    trainings = [
        FullTraining(
            finalist_folder(study, trial_id),
            study.architecture(trial_id),
            finalist_seed(study, trial_id),
            lengths[tier].restarts,
            trained_relative(study, trial_id),
            title=tier,
            trial_id=trial_id,
            tier=tier,
            epochs=lengths[tier].epochs,
        )
        for trial_id, tier in tiers.items()
    ]
    try:
        trained = train_fully(trainings, evaluator, make_executor=make_executor, on_event=on_event)
    except FullTrainingFailed as error:
        failed, reason = error.training, str(error).rstrip(".")
        raise UserError(
            f"Trial {failed.trial_id} cannot serve as the {failed.tier} network ({reason}): choose another trial."
        ) from error
    found = {each.trial_id: each for each in trained}
    return {tier: found[trial_id] for tier, trial_id in trial_ids.items()}
