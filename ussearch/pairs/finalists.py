"""The chosen candidates, trained at full length and kept in the study."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ussearch.errors import UserError
from ussearch.evaluators import End, Evaluation, TrainEvaluator
from ussearch.pairs.full_training import FullTrainingFailed, InitialWeights, OnAttemptEpoch, train_fully
from ussearch.search_spaces import Network
from ussearch.studies import Study
from ussearch.studies.drafting import derived_seed

FULL_TRAINING = 2
"""Purpose of the derived seed, apart from sampling (0) and the search's training (1)."""


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


def train_finalist(
    study: Study,
    evaluator: TrainEvaluator,
    end: End,
    slot: int,
    on_epoch: OnAttemptEpoch | None = None,
    *,
    seeds: int = 1,
    initial: InitialWeights | None = None,
) -> Finalist:
    """Train a candidate of the study at full length, as ``full_training.train_fully`` does, and keep it there.

    Raises UserError where the training fails.
    """
    try:
        trained = train_fully(
            finalist_folder(study, slot),
            study.architecture(slot),
            evaluator,
            seed=finalist_seed(study, slot),
            seeds=seeds,
            initial=initial,
            on_epoch=on_epoch,
        )
    except FullTrainingFailed as error:
        raise UserError(
            f"Trial {slot} cannot serve as the {end} network ({str(error).rstrip('.')}): choose another trial."
        ) from error
    return Finalist(end, slot, trained.network(), trained.evaluation, trained.weights)
