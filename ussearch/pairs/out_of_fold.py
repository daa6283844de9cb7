"""What both networks of a pair score on images that they did not see: the only honest lesson for a router.

Training and validation images are divided into folds by patient; for each fold both architectures are trained on the
other folds from random weights (never from a winner's or from shared weights, which saw the fold) and judged on it.

FOLDER/fold-1/edge  cloud       the trainings, as ``full_training`` keeps them: what was killed goes on
FOLDER/fold-1/ids.json          which images trained, selected epochs, and were held out
FOLDER/out_of_fold.csv          one line an image
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ussearch.datasets import DEFAULT_FRACTIONS, ImageSet, Normalisation, Split, k_folds
from ussearch.evaluators import End, EpochRecord, TrainEvaluator, predict
from ussearch.evaluators.shipping import export_network
from ussearch.files import write_atomically
from ussearch.pairs.courses import Attempt, Course
from ussearch.pairs.full_training import FullTraining, train_fully
from ussearch.pairs.routing.observing import dice_of, observe
from ussearch.pairs.routing.samples import Samples, pooled
from ussearch.search_spaces import Architecture
from ussearch.studies.drafting import derived_seed
from ussearch.studies.executors import Staffing, in_this_process

FOLDS = 3
FOLD_TRAINING = 3
"""Purpose of the derived seed, apart from sampling (0), the search's training (1) and full training (2)."""
IDS, TABLE = "ids.json", "out_of_fold.csv"
OnFoldEpoch = Callable[[int, End, EpochRecord], None]
"""(fold from 1, which network, what the epoch did)."""


@dataclass(frozen=True)
class FoldTraining:
    """Everything that the out-of-fold predictions of a pair depend on.

    ``evaluator`` trains at full length and holds images and split; ``folder`` keeps all of it.
    """

    folder: Path
    edge: Architecture
    cloud: Architecture
    evaluator: TrainEvaluator
    seed: int
    folds: int = FOLDS

    @property
    def finished(self) -> bool:
        """Whether all of it was trained before."""
        return (self.folder / TABLE).is_file()

    def splits(self) -> tuple[Split, ...]:
        """Return a split for each fold: its test part is held out; calibration and test images are in none."""
        split = self.evaluator.split
        train, validation, *_ = DEFAULT_FRACTIONS
        known = [*split.train, *split.validation]
        images = self.evaluator.images
        return k_folds(images, self.folds, self.seed, within=known, fractions=(train, validation, 0.0))

    def run(self, staffing: Staffing = in_this_process, on_epoch: OnFoldEpoch | None = None) -> Samples:
        """Train what is not yet trained and return what both networks of each fold score on its held-out images.

        Raises FullTrainingFailed where a fold's network cannot be trained.
        """
        parts = [self._fold(number, fold, staffing, on_epoch) for number, fold in enumerate(self.splits(), 1)]
        samples = pooled(parts)
        samples.write(self.folder / TABLE)
        return samples

    def _fold(self, number: int, fold: Split, staffing: Staffing, on_epoch: OnFoldEpoch | None) -> Samples:
        place = self.folder / f"fold-{number}"
        images = self.evaluator.images
        record_ids(place / IDS, images, fold)
        architectures: dict[End, Architecture] = {"edge": self.edge, "cloud": self.cloud}
        ends = {place / end: end for end in architectures}
        courses = [
            Course(place / end, each, derived_seed(self.seed, 2 * number + (end == "cloud"), FOLD_TRAINING))
            for end, each in architectures.items()
        ]

        def tell(course: Course, attempt: Attempt, record: EpochRecord) -> None:
            if on_epoch:
                on_epoch(number, ends[course.folder], record)

        evaluator = replace(self.evaluator, split=fold)
        edge, cloud = train_fully(courses, evaluator, staffing=staffing, on_epoch=tell)
        return self._observed(number, fold, edge, cloud)

    def _observed(self, number: int, fold: Split, edge: FullTraining, cloud: FullTraining) -> Samples:
        evaluator, images = self.evaluator, self.evaluator.images
        normalisation = Normalisation.fit(images.images, fold.train)
        held_out = list(fold.test)
        answers = predict(cloud.network(), np.asarray(images.images[held_out]), normalisation, evaluator.device)
        cloud_dice = dice_of(answers, images, held_out)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "edge.onnx"
            export_network(edge.network(), normalisation, images.image_size, evaluator.profiles["edge"], file)
            return observe(file, cloud_dice, images, held_out, network=number)


def record_ids(path: Path, images: ImageSet, fold: Split) -> None:
    """Write which images a fold's networks train on, and which they are judged on.

    Raises ValueError where an image, or a group of them (a patient), is on both sides.
    """
    seen, held_out = [*fold.train, *fold.validation], list(fold.test)
    both = set(images.groups[seen].tolist()) & set(images.groups[held_out].tolist())
    if both:
        raise ValueError(f"{len(both)} groups of images are trained on and held out at once")
    parts = {"train": fold.train, "validation": fold.validation, "held_out": fold.test}
    ids = {name: [images.ids[index] for index in part] for name, part in parts.items()}
    write_atomically(path, json.dumps(ids, indent=1))
