"""The router of a study's pair, learnt from what both networks score on images that they did not see."""

from __future__ import annotations

import shlex
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ussearch import schema
from ussearch.datasets import DEFAULT_FRACTIONS, ImageSet, Normalisation, Split, k_folds
from ussearch.evaluators import Tier, TrainEvaluator, predict
from ussearch.evaluators.prediction import export_network
from ussearch.events import OnEvent, ignore
from ussearch.files import write_atomically
from ussearch.pairs.delivery.full_training import TrainedNetwork, train_fully
from ussearch.pairs.delivery.tasks import FullTraining, FullTrainingFailed
from ussearch.pairs.postprocessing.choose import choose_postprocessing
from ussearch.pairs.postprocessing.observed import Observed
from ussearch.pairs.routing.attach_router import RouterSpec
from ussearch.pairs.routing.policies import Policy
from ussearch.pairs.routing.router_comparison import FEWEST_IMAGES, RouterChoice, choose_router, kinds_for
from ussearch.pairs.routing.samples import Samples, collect_features, pooled
from ussearch.runtime.postprocessing import Postprocessing, dice_of_masks
from ussearch.search_spaces import Architecture
from ussearch.studies import Study
from ussearch.studies.context import StudyContext
from ussearch.studies.executors import ExecutorFactory, in_this_process
from ussearch.studies.resources import default_resources
from ussearch.studies.suggest import derived_seed

FOLDS = 3
FOLD_TRAINING = 3
"""Purpose of the derived seed, apart from sampling (0), the search's training (1) and full training (2)."""
IDS, TABLE = "ids.json", "out_of_fold.csv"


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
    cloud_epochs: int | None = None
    """Length of the cloud's trainings; None: that of the evaluator's recipe, as the edge's."""

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

    def run(self, make_executor: ExecutorFactory = in_this_process, on_event: OnEvent = ignore) -> Samples:
        """Train what is not yet trained and return what both networks of each fold score on its held-out images.

        Raises FullTrainingFailed where a fold's network cannot be trained.
        """
        parts = [self._fold(number, fold, make_executor, on_event) for number, fold in enumerate(self.splits(), 1)]
        samples = pooled(parts)
        samples.write(self.folder / TABLE)
        return samples

    def _fold(self, number: int, fold: Split, make_executor: ExecutorFactory, on_event: OnEvent) -> Samples:
        place = self.folder / f"fold-{number}"
        images = self.evaluator.images
        record_ids(place / IDS, images, fold)
        architectures: dict[Tier, Architecture] = {"edge": self.edge, "cloud": self.cloud}
        trainings = [
            FullTraining(
                place / tier,
                architecture,
                derived_seed(self.seed, 2 * number + (tier == "cloud"), FOLD_TRAINING),
                title=f"router, fold {number} of {self.folds}, {tier}",
                epochs=self.cloud_epochs if tier == "cloud" else None,
            )
            for tier, architecture in architectures.items()
        ]
        evaluator = replace(self.evaluator, split=fold)
        edge, cloud = train_fully(trainings, evaluator, make_executor=make_executor, on_event=on_event)
        return self._observed(number, fold, edge, cloud)

    def _observed(self, number: int, fold: Split, edge: TrainedNetwork, cloud: TrainedNetwork) -> Samples:
        evaluator, images = self.evaluator, self.evaluator.images
        normalisation = Normalisation.fit(images.images, fold.train)
        held_out = list(fold.test)
        answers = predict(cloud.network(), np.asarray(images.images[held_out]), normalisation, evaluator.device)
        edge_how, cloud_how = (self._postprocessing(each, normalisation) for each in (edge, cloud))
        cloud_dice = dice_of_masks(answers, images.masks[held_out], cloud_how)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "edge.onnx"
            export_network(edge.network(), normalisation, images.image_size, evaluator.profiles["edge"], file)
            return collect_features(file, cloud_dice, images, held_out, network=number, postprocessing=edge_how)

    def _postprocessing(self, trained: TrainedNetwork, normalisation: Normalisation) -> Postprocessing:
        """Return what becomes of a fold network's probabilities: its own, chosen on calibration images as for those
        that ship, which no fold trains on.
        """
        evaluator, images = self.evaluator, self.evaluator.images
        chosen = list(evaluator.split.calibration)
        if not chosen:
            return Postprocessing()
        answers = predict(trained.network(), np.asarray(images.images[chosen]), normalisation, evaluator.device)
        masks = np.asarray(images.masks[chosen])[:, 0] > 0
        return choose_postprocessing(Observed(answers[:, 0], masks, np.asarray(images.groups[chosen], np.int64)))[0]


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
    write_atomically(path, schema.FOLD.to_json(ids, indent=1))


FOLDER = "router"


@dataclass(frozen=True)
class RoutingRequest:
    """What is asked of a router; ``policy`` None leaves the threshold to the program.

    ``learn`` False ships Soft Dice Confidence without training anything. ``budget_seconds`` None: as long as it takes.
    """

    policy: Policy | None = None
    learn: bool = True
    folds: int = FOLDS
    budget_seconds: float | None = None


def router_folder(study: Study) -> Path:
    """Return where a study keeps its out-of-fold trainings."""
    return study.folder / FOLDER


def fold_training(
    study: Study, study_context: StudyContext, tiers: dict[Tier, Architecture], folds: int
) -> FoldTraining:
    """Return the out-of-fold trainings of two architectures by the study's recipe at full length."""
    place = router_folder(study) / f"{tiers['edge'].id}-{tiers['cloud'].id}"
    return FoldTraining(
        place,
        tiers["edge"],
        tiers["cloud"],
        study_context.evaluator(study.config.final_recipe),
        seed=study.config.seed,
        folds=folds,
        cloud_epochs=study.config.full_length("cloud").epochs,
    )


def fit_router(
    study: Study,
    study_context: StudyContext,
    tiers: dict[Tier, Architecture],
    request: RoutingRequest,
    *,
    pair_seconds: float = 0.0,
    make_executor: ExecutorFactory | None = None,
    on_event: OnEvent = ignore,
) -> RouterSpec:
    """Train out of fold and decide what ships; whatever stands against it becomes the reason why SDC does.

    ``tiers`` are the architectures that ship, ``pair_seconds`` is what one training of both at full length takes.
    """
    training = fold_training(study, study_context, tiers, request.folds)
    refusal = _refusal(study, training, request, pair_seconds)
    if refusal:
        return RouterSpec(request.policy, RouterChoice(None, None, f"Soft Dice Confidence ships: {refusal}"))
    try:
        samples = training.run(make_executor or default_resources(study.config.workers).executor, on_event)
    except FullTrainingFailed as error:
        reason = f"Soft Dice Confidence ships: a network of a fold could not be trained ({str(error).rstrip('.')})"
        return RouterSpec(request.policy, RouterChoice(None, None, reason))
    kinds = kinds_for(study_context.profiles["edge"])
    return RouterSpec(request.policy, choose_router(samples, kinds=kinds, seed=study.config.seed), samples)


def _refusal(study: Study, training: FoldTraining, request: RoutingRequest, pair_seconds: float) -> str:
    """Return why nothing is trained; empty where it is."""
    if not request.learn:
        return "no router was to be trained"
    split = training.evaluator.split
    images = len(split.train) + len(split.validation)
    if images < FEWEST_IMAGES:
        return f"{images} images for training are too few to learn from, at least {FEWEST_IMAGES} are asked for"
    seconds = pair_seconds * (request.folds - 1)
    if request.budget_seconds is not None and seconds > request.budget_seconds and not training.finished:
        return (
            f"training the router takes about {seconds:.0f} s, which did not fit into the budget; later: "
            f"ussearch route {shlex.quote(str(study.folder))}"
        )
    return ""
