"""The trainings behind the tables: kept on disk, continued where they were stopped, one CSV a part."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from routed import sets
from ussearch.datasets import ImageSet, Normalisation, Split
from ussearch.evaluators import Recipe, Tier, TrainEvaluator, predict
from ussearch.evaluators.prediction import export_network
from ussearch.files import write_atomically
from ussearch.hardware_profiles import Profile, load_profile
from ussearch.hardware_profiles.measuring.measure import machine
from ussearch.pairs.delivery.full_training import TrainedNetwork, train_fully
from ussearch.pairs.delivery.router_training import FoldTraining
from ussearch.pairs.delivery.tasks import FullTraining
from ussearch.pairs.routing.samples import Samples, collect_features
from ussearch.runtime.masks import dice_of
from ussearch.search_spaces import Architecture, load_preset
from ussearch.search_spaces.scaling import scaled

OUT_OF_FOLD, CALIBRATION, TEST, SHIFTED = "out_of_fold.csv", "calibration.csv", "test.csv", "shifted.csv"
SETTING = "setting.txt"


@dataclass(frozen=True)
class Setting:
    """Size of a run; ``work`` keeps trainings, ``tables`` the CSVs that are committed."""

    work: Path
    tables: Path
    count: int = 1600
    image_size: int = 64
    epochs: int = 10
    edge: str = "cea-net-standin"
    edge_scale: float = 0.25
    cloud: str = "unext"
    device: str = "cpu"

    def write(self) -> None:
        """Put beside the tables, in words, how their networks were trained."""
        words = (
            f"Edge: {self.edge} with {self.edge_scale:g} of its widths; cloud: {self.cloud}. {self.count} phantoms a "
            f"seed at {self.image_size}×{self.image_size}, {self.epochs} epochs, on {machine()}, {self.device}."
        )
        write_atomically(self.tables / SETTING, words + "\n")

    def pair(self) -> tuple[Architecture, Architecture]:
        """Return the edge and the cloud architecture."""
        edge = load_preset(self.edge).architecture.for_task()
        return scaled(edge, self.edge_scale), load_preset(self.cloud).architecture.for_task()

    def evaluator(self, images: ImageSet, split: Split) -> TrainEvaluator:
        """Return what trains on these images."""
        profiles: dict[Tier, Profile] = {"edge": load_profile("jetson-nano"), "cloud": load_profile("x86-server")}
        return TrainEvaluator(
            images, split, Recipe(batch_size=4, epochs=self.epochs), profiles, torch.device(self.device)
        )

    def folds(self, name: str, images: ImageSet, split: Split, seed: int) -> FoldTraining:
        """Return the out-of-fold trainings of one set."""
        return FoldTraining(self.work / name / "folds", *self.pair(), self.evaluator(images, split), seed)


def run_phantoms(setting: Setting, seed: int) -> None:
    """Write the four tables of one seed; what is there already is left alone."""
    place = setting.tables / f"phantoms-{seed}"
    if all((place / name).is_file() for name in (OUT_OF_FOLD, CALIBRATION, TEST, SHIFTED)):
        return
    images, split = sets.phantoms(setting.count, setting.image_size, seed)
    setting.folds(f"phantoms-{seed}", images, split, seed).run().write(place / OUT_OF_FOLD)
    evaluator = setting.evaluator(images, split)
    trainings = [
        FullTraining(setting.work / f"phantoms-{seed}" / tier, each, 1000 * seed + number)
        for number, (tier, each) in enumerate(zip(("edge", "cloud"), setting.pair(), strict=True))
    ]
    edge, cloud = train_fully(trainings, evaluator)
    normalisation, moved = Normalisation.fit(images.images, split.train), sets.shifted(images, seed)
    for name, shown, part in (
        (CALIBRATION, images, split.calibration),
        (TEST, images, split.test),
        (SHIFTED, moved, split.test),
    ):
        _observe(setting, edge, cloud, normalisation, images=shown, part=list(part)).write(place / name)


def run_busi(setting: Setting, data: Path, *, normals: bool) -> None:
    """Write the out-of-fold table of BUSI with or without its normals."""
    name = "busi-780" if normals else "busi-647"
    path = setting.tables / name / OUT_OF_FOLD
    if not path.is_file():
        images, split = sets.busi(data, setting.image_size, normals=normals)
        setting.folds(name, images, split, seed=0).run().write(path)


def _observe(
    setting: Setting,
    edge: TrainedNetwork,
    cloud: TrainedNetwork,
    normalisation: Normalisation,
    *,
    images: ImageSet,
    part: list[int],
) -> Samples:
    answers = predict(cloud.network(), np.asarray(images.images[part]), normalisation, setting.device)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "edge.onnx"
        export_network(edge.network(), normalisation, images.image_size, load_profile("jetson-nano"), file)
        return collect_features(file, dice_of(answers, images.masks[part]), images, part)
