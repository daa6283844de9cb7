"""The data of a study, ready to work with, and where it comes from again when the study is opened later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path

import torch

from ussearch.accelerators import choose_device
from ussearch.datasets import (
    Dataset,
    FileProgress,
    ImageSet,
    Normalisation,
    PhantomParameters,
    ReadingOptions,
    Split,
    as_read,
    fitted,
    open_dataset,
    phantoms_from,
    prepare,
    settled,
    split,
)
from ussearch.errors import UserError
from ussearch.evaluators import FROM_SCRATCH, Pretrained, Recipe, Tier, TrainEvaluator
from ussearch.hardware_profiles import Profile
from ussearch.run_config import DataOptions, RunConfig
from ussearch.studies.data_source import DataSource, require_there
from ussearch.studies.study import Study


@dataclass(frozen=True)
class StudyContext:
    """Images, their split, the two profiles, the device that trains in this process, what networks start from."""

    dataset: Dataset
    images: ImageSet
    split: Split
    source: DataSource
    profiles: Mapping[Tier, Profile]
    device: torch.device
    pretrained: Pretrained = FROM_SCRATCH

    @property
    def normalisation(self) -> Normalisation:
        """The scaling of grey levels, fitted on the training part."""
        return Normalisation.fit(self.images.images, self.split.train)

    def evaluator(self, recipe: Recipe) -> TrainEvaluator:
        """Return the evaluator that trains by ``recipe``."""
        return TrainEvaluator(self.images, self.split, recipe, self.profiles, self.device, self.pretrained)


def open_context(
    config: RunConfig,
    image_size: int,
    profiles: Mapping[Tier, Profile],
    progress: FileProgress | None = None,
    *,
    pretrained: Pretrained = FROM_SCRATCH,
) -> StudyContext:
    """Prepare the data that a run is asked to use, and split it; ``progress`` hears how many files were read."""
    data, phantoms = config.data, None
    if data.path is None:
        phantoms = PhantomParameters(count=data.phantoms, seed=config.seed, image_size=image_size)
        dataset = phantoms_from(phantoms)
    else:
        if config.output.resume:
            require_there(data.path.expanduser())
        found = open_dataset(data.path, data.reader, folders=data.folders, groups=data.groups)
        dataset = settled(found, _asked(data), progress)
    images = prepare(dataset, image_size, progress=progress)
    parts = split(images, seed=config.seed, split_file=data.split_file)
    by_train = fitted(dataset, {images.ids[index] for index in parts.train})
    if by_train is not dataset:
        dataset, images = by_train, prepare(by_train, image_size, progress=progress)
        parts = replace(parts, fingerprint=images.fingerprint)
    root = "" if data.path is None else str(data.path.expanduser().resolve())
    source = DataSource.of(images, root, phantoms.model_dump(mode="json") if phantoms else None)
    device = choose_device(config.execution.accelerator, elsewhere=config.execution.ray is not None)
    return StudyContext(dataset, images, parts, source, profiles, device, pretrained)


def reopen_context(study: Study, accelerator: str = "auto", data: Path | None = None) -> StudyContext:
    """Prepare the data of an existing study again; ``data`` says where it lies now, if it was moved.

    Raises UserError where the data is gone or has changed since.
    """
    source = study.config.data
    if source.phantoms is not None:
        dataset = phantoms_from(PhantomParameters.model_validate(source.phantoms))
    else:
        root = data or Path(source.root)
        require_there(root)
        dataset = as_read(source.reading, root, source.reader)
    images = prepare(dataset, study.config.image_size)
    if images.fingerprint != source.fingerprint:
        raise UserError(
            f"The data in {dataset.root} is not what the study in {study.folder} was made from (fingerprint "
            f"{images.fingerprint[:12]}, expected {source.fingerprint[:12]}): give the same data with --data."
        )
    config, device = study.config, choose_device(accelerator)
    return StudyContext(dataset, images, study.split, source, config.profiles, device, config.pretrained)


def _asked(data: DataOptions) -> ReadingOptions:
    return ReadingOptions(**{field.name: getattr(data, field.name) for field in fields(ReadingOptions)})
