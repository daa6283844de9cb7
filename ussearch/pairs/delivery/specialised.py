"""The best of what a study offers another device, trained at full length in a folder of its own."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ussearch import schema
from ussearch.errors import UserError
from ussearch.evaluators import Tier
from ussearch.evaluators.prediction import export_network
from ussearch.events import OnEvent, ignore
from ussearch.files import found_at, staged_directory
from ussearch.hardware_profiles import Profile
from ussearch.pairs.delivery.full_training import (
    FULL_TRAINING,
    TrainedNetwork,
    finalist_folder,
    finalist_seed,
    length_of,
    train_fully,
    trained_relative,
)
from ussearch.pairs.delivery.tasks import FullTraining
from ussearch.studies import Study
from ussearch.studies.context import StudyContext
from ussearch.studies.locking import is_lock
from ussearch.studies.resources import default_resources
from ussearch.studies.specialise import Known, Specialised
from ussearch.studies.study import LOCK
from ussearch.studies.suggest import derived_seed

MODEL, REPORT, FINALISTS = "model.onnx", "specialised.json", "finalists"


@dataclass(frozen=True)
class Trained:
    """A candidate after its full training; ``model`` is its file for the device where one was asked for."""

    known: Known
    network: TrainedNetwork
    model: Path | None


def train_specialised(
    found: Specialised,
    study_context: StudyContext,
    count: int,
    out: Path,
    *,
    export: bool = False,
    on_event: OnEvent = ignore,
) -> Sequence[Trained]:
    """Train the ``count`` best candidates as finalists of ``found.profile``, each in ``out/finalists/LABEL``.

    What the study has trained in full before is copied, not trained again; the study itself is left as it is. A
    training that was killed goes on from its checkpoint when this is called again. Raises UserError.
    """
    study, config = found.study, found.study.config
    profiles: dict[Tier, Profile] = {"edge": found.profile, "cloud": config.cloud}
    evaluator = replace(study_context, profiles=profiles).evaluator(config.final_recipe)
    normalisation = study_context.normalisation
    trainings: dict[Path, tuple[Known, FullTraining]] = {}
    for known in (priced.known for priced in found.best[:count]):
        folder = out / FINALISTS / known.folder
        _copy_finalist(study, known, folder)
        relative = None if known.trial is None else trained_relative(study, known.trial)
        length = config.full_length("edge") if known.trial is None else length_of(study, known.trial)
        training = FullTraining(
            folder,
            known.architecture,
            _seed_of(study, known),
            length.restarts,
            relative,
            title=known.label,
            epochs=length.epochs,
        )
        trainings[folder] = known, training
    networks = train_fully(
        [training for _, training in trainings.values()],
        evaluator,
        make_executor=default_resources(config.workers).executor,
        on_event=on_event,
    )
    trained = []
    for (known, training), network in zip(trainings.values(), networks, strict=True):
        model = training.folder / MODEL if export else None
        if model is not None:
            export_network(network.network(), normalisation, config.image_size, found.profile, model)
        trained.append(Trained(known, network, model))
    return trained


def refuse_foreign_trainings(out: Path) -> None:
    """Raise UserError where ``out`` holds trainings that ``ussearch specialise`` neither ended nor was stopped in."""
    place = out / FINALISTS
    own = is_own_report(out / REPORT) or is_lock(out / LOCK)
    if not own and os.path.lexists(place) and not (place.is_dir() and not any(place.iterdir())):
        raise UserError(
            f"{place} stands there already and is not what ussearch specialise wrote: nothing is overwritten; choose "
            "another folder with --out."
        )


def is_own_report(path: Path) -> bool:
    """Tell whether a file is a report that ``ussearch specialise`` wrote, by its keys."""
    try:
        content = schema.SPECIALISED.read(path)
    except (OSError, ValueError, UserError):
        return False
    return isinstance(content, dict) and {"made_for", "candidates", "dropped", "trained"} <= content.keys()


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
