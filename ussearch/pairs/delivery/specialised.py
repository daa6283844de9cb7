"""The best of what a study offers another device, trained at full length in a folder of its own."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ussearch.evaluators import EpochRecord, Tier
from ussearch.evaluators.prediction import export_network
from ussearch.files import found_at, staged_directory
from ussearch.hardware_profiles import Profile
from ussearch.pairs.delivery.full_training import (
    FULL_TRAINING,
    FullTraining,
    finalist_folder,
    finalist_seed,
    train_fully,
)
from ussearch.pairs.delivery.tasks import Attempt, Course, InitialWeights
from ussearch.studies import Study
from ussearch.studies.context import StudyContext
from ussearch.studies.resources import default_resources
from ussearch.studies.specialise import Known, Specialised
from ussearch.studies.suggest import derived_seed

MODEL = "model.onnx"
OnEpochOf = Callable[[Known, Attempt, EpochRecord], None]


@dataclass(frozen=True)
class Trained:
    """A candidate after its full training; ``model`` is its file for the device where one was asked for."""

    known: Known
    training: FullTraining
    model: Path | None


def train_specialised(
    found: Specialised,
    study_context: StudyContext,
    count: int,
    out: Path,
    *,
    export: bool = False,
    initial: InitialWeights | None = None,
    on_epoch: OnEpochOf | None = None,
) -> Sequence[Trained]:
    """Train the ``count`` best candidates as finalists of ``found.profile``, each in ``out/finalists/LABEL``.

    What the study has trained in full before is copied, not trained again; the study itself is left as it is. A
    training that was killed goes on from its checkpoint when this is called again. Raises UserError.
    """
    study, config = found.study, found.study.config
    profiles: dict[Tier, Profile] = {"edge": found.profile, "cloud": config.cloud}
    evaluator = replace(study_context, profiles=profiles).evaluator(config.final_recipe)
    normalisation = study_context.normalisation
    courses: dict[Path, Known] = {}
    for priced in found.best[:count]:
        folder = out / "finalists" / priced.known.label
        _copy_finalist(study, priced.known, folder)
        courses[folder] = priced.known

    def tell(course: Course, attempt: Attempt, record: EpochRecord) -> None:
        if on_epoch:
            on_epoch(courses[course.folder], attempt, record)

    trainings = train_fully(
        [
            Course(folder, known.architecture, _seed_of(study, known), config.final_restarts, initial)
            for folder, known in courses.items()
        ],
        evaluator,
        staffing=default_resources(config.workers).executor,
        on_epoch=tell,
    )
    trained = []
    for known, training in zip(courses.values(), trainings, strict=True):
        model = training.folder / MODEL if export else None
        if model is not None:
            export_network(training.network(), normalisation, config.image_size, found.profile, model)
        trained.append(Trained(known, training, model))
    return trained


def _copy_finalist(study: Study, known: Known, folder: Path) -> None:
    """Bring along what the study has trained in full; whether it serves is decided by what it was made from."""
    if known.trial is None or folder.exists():
        return
    before = finalist_folder(study, known.trial)
    if (found_at(before) / "record.json").is_file():
        with staged_directory(folder) as staging:
            shutil.copytree(found_at(before), staging, dirs_exist_ok=True)


def _seed_of(study: Study, known: Known) -> int:
    if known.trial is not None:
        return finalist_seed(study, known.trial)
    return derived_seed(study.config.seed, int(known.architecture.id, 16), FULL_TRAINING)
