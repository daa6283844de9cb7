"""What a report can be made of: records always; images and the bundle where they are there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ussearch import schema
from ussearch.datasets.anonymous import data_name, image_name, split_source
from ussearch.errors import UserError
from ussearch.evaluators import Evaluation, Tier
from ussearch.evaluators.evaluation import standing
from ussearch.files import folders_in, found_at
from ussearch.pairs import Bundle
from ussearch.pairs.bundles.shareable import without_places
from ussearch.pairs.delivery.tasks import RETRAIN
from ussearch.studies import Study, TrialRecord
from ussearch.studies.context import StudyContext, reopen_context
from ussearch.studies.damage import intact
from ussearch.studies.pareto import ParetoReport, pareto_report

BUNDLE = "bundle"
FINALISTS = "finalists"
NO_IMAGES = "The images are not where the study found them, or have changed; --data says where they lie now."


@dataclass(frozen=True)
class ReportData:
    """A study with all that was made from it so far.

    Attributes:
        study: may be running.
        report: its trials and fronts.
        bundle: None where there is none; ``without_bundle`` says why.
        workbench: images and split; None where the data cannot be read; ``without_images`` says why.
        finalists: evaluations of the full trainings, by trial.
        names: whether files, folders and classes are called by their names; else images are numbered.
    """

    study: Study
    report: ParetoReport
    bundle: Bundle | None = None
    without_bundle: str = ""
    study_context: StudyContext | None = None
    without_images: str = ""
    finalists: tuple[tuple[int, Evaluation], ...] = ()
    names: bool = False

    @property
    def data_name(self) -> str:
        """What the data set is called."""
        source = self.study.config.data
        return source.name if self.names else data_name(source.reader, source.fingerprint)

    @property
    def split_source(self) -> str:
        """How the split came about."""
        source = self.study.split.source
        return source if self.names else split_source(source)

    def image_name(self, index: int) -> str:
        """Return what the image with this index in ``split.json`` is called."""
        number = image_name(index)
        return f"{number}, {self.study_context.images.ids[index]}" if self.names and self.study_context else number

    @property
    def about_images(self) -> str:
        """Why there are no images; the error itself names the folder."""
        return self.without_images if self.names or not self.without_images else NO_IMAGES

    def told(self, sentence: str) -> str:
        """Return a sentence of a record or an error, without names of files where they are not asked for."""
        return sentence if self.names else without_places(sentence)

    @property
    def good(self) -> tuple[TrialRecord, ...]:
        """The trials that finished well, by trial id."""
        return tuple(record for record in self.report.records if not record.failed)

    @property
    def pair(self) -> dict[Tier, int]:
        """The trials that serve the ends, as the bundle records them; empty where there is no bundle."""
        if self.bundle is None:
            return {}
        manifest = self.bundle.manifest
        trials: dict[Tier, int | None] = {"edge": manifest.edge.trial, "cloud": manifest.cloud.trial}
        return {tier: trial for tier, trial in trials.items() if trial is not None}

    @property
    def best(self) -> TrialRecord | None:
        """The bundle's edge network; before there is one, the best trial within the device's limits, else of all."""
        by_trial_id = {record.trial_id: record for record in self.good}
        if (trial_id := self.pair.get("edge")) in by_trial_id:
            return by_trial_id[trial_id]
        fitting = [record for record in self.good if record.feasible("edge")] or list(self.good)
        return max(fitting, key=lambda r: (standing(r.evaluation.fidelity), r.objective or 0.0), default=None)


def gather(folder: Path, data: Path | None = None, *, names: bool = False) -> ReportData:
    """Return the material of the study in ``folder``; ``data`` says where its images lie now, if they were moved.

    ``names`` has files, folders and classes called by their names. Raises UserError where there is no study, or
    ``data`` is given and is not the study's. Images and a bundle that are not there only leave out what needs them.
    """
    study = Study.open(folder)
    study_context, without_images = _images(study, data)
    bundle, without_bundle = _bundle(folder / BUNDLE)
    return ReportData(
        study,
        pareto_report(study),
        bundle,
        without_bundle,
        study_context,
        without_images,
        _finalists(folder / FINALISTS),
        names,
    )


def _images(study: Study, data: Path | None) -> tuple[StudyContext | None, str]:
    try:
        return reopen_context(study, "cpu", data), ""
    except UserError as error:
        if data is not None:
            raise
        return None, str(error)


def _bundle(folder: Path) -> tuple[Bundle | None, str]:
    if not found_at(folder).exists():
        return None, "There is no bundle yet: ussearch run ends in one, ussearch export STUDY makes one."
    try:
        return Bundle.load(folder), ""
    except UserError as error:
        return None, str(error).replace(str(folder), BUNDLE)


def _finalists(folder: Path) -> tuple[tuple[int, Evaluation], ...]:
    found = []
    for name, place in folders_in(folder).items():
        if (place / "record.json").is_file():
            with intact(place / "record.json", RETRAIN):
                record = schema.FULL_TRAINING.read(place / "record.json")
                found.append((int(name), Evaluation.model_validate(record["evaluation"])))
    return tuple(found)
