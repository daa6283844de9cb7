"""The router of a study's pair: trained out of fold where time and images allow, Soft Dice Confidence elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ussearch.evaluators import End
from ussearch.pairs.courses import FullTrainingFailed
from ussearch.pairs.out_of_fold import FOLDS, FoldTraining, OnFoldEpoch
from ussearch.pairs.routing.choice import FEWEST_IMAGES, Choice, choose_router, kinds_for
from ussearch.pairs.routing.installing import RouterWish
from ussearch.pairs.routing.policies import Policy
from ussearch.search_spaces import Architecture
from ussearch.studies import Study
from ussearch.studies.executors import Staffing
from ussearch.studies.means import usual_means
from ussearch.studies.workbench import Workbench

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


def fold_training(study: Study, workbench: Workbench, ends: dict[End, Architecture], folds: int) -> FoldTraining:
    """Return the out-of-fold trainings of two architectures by the study's recipe at full length."""
    recipe = study.config.recipe.model_copy(update={"epochs": study.config.final_epochs, "steps": None})
    place = router_folder(study) / f"{ends['edge'].id}-{ends['cloud'].id}"
    return FoldTraining(
        place, ends["edge"], ends["cloud"], workbench.evaluator(recipe), seed=study.config.seed, folds=folds
    )


def fit_router(
    study: Study,
    workbench: Workbench,
    ends: dict[End, Architecture],
    request: RoutingRequest,
    *,
    pair_seconds: float = 0.0,
    staffing: Staffing | None = None,
    on_epoch: OnFoldEpoch | None = None,
) -> RouterWish:
    """Train out of fold and decide what ships; whatever stands against it becomes the reason why SDC does.

    ``ends`` are the architectures that ship, ``pair_seconds`` is what one training of both at full length takes.
    """
    training = fold_training(study, workbench, ends, request.folds)
    refusal = _refusal(study, training, request, pair_seconds)
    if refusal:
        return RouterWish(request.policy, Choice(None, None, f"Soft Dice Confidence ships: {refusal}"))
    try:
        samples = training.run(staffing or usual_means(study.config.workers).executor, on_epoch)
    except FullTrainingFailed as error:
        reason = f"Soft Dice Confidence ships: a network of a fold could not be trained ({str(error).rstrip('.')})"
        return RouterWish(request.policy, Choice(None, None, reason))
    kinds = kinds_for(workbench.profiles["edge"])
    return RouterWish(request.policy, choose_router(samples, kinds=kinds, seed=study.config.seed), samples)


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
            f"ussearch route {study.folder}"
        )
    return ""
