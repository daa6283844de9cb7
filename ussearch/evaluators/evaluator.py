"""From an architecture to what it is worth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import torch

from ussearch import accelerators
from ussearch.datasets import ImageSet, Normalisation, Split
from ussearch.evaluators.baselines import trivial_baselines
from ussearch.evaluators.costs import refusals, trace
from ussearch.evaluators.evaluation import TRAINED, CostsByTier, Evaluation, Tier, trained_part
from ussearch.evaluators.metrics.scores import Summary, score
from ussearch.evaluators.prediction import predict
from ussearch.evaluators.pretrained import FROM_SCRATCH, Pretrained
from ussearch.evaluators.training.recipe import Recipe
from ussearch.evaluators.training.result import OnEpoch, TrainingFailed, TrainingResult
from ussearch.evaluators.training.task import TrainingTask
from ussearch.hardware_profiles import Profile
from ussearch.search_spaces import Architecture, Network


class Evaluator(Protocol):
    """What a search needs to know of candidates."""

    @property
    def fidelity(self) -> str:
        """How accuracy is come by; figures of different fidelity are never compared."""

    def refused(self, architecture: Architecture, tier: Tier) -> bool:
        """Return whether an end cannot run the architecture's operators at all (cheaper than ``costs``)."""

    def costs(self, architecture: Architecture) -> CostsByTier:
        """Return the costs on both ends without training; raises ValueError where it cannot be built."""

    def evaluate(self, task: TrainingTask, on_epoch: OnEpoch | None = None) -> Evaluation:
        """Return what the task's candidate is worth; one that fails gives a record with its ``failure``."""

    def baselines(self) -> dict[str, Summary]:
        """Return the figures of predictors that need no network, by name."""


@dataclass(frozen=True)
class TrainEvaluator:
    """Trains every candidate by one recipe and judges it on the validation part."""

    images: ImageSet
    split: Split
    recipe: Recipe
    profiles: Mapping[Tier, Profile]
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    pretrained: Pretrained = FROM_SCRATCH
    """What networks start from that others trained; those that it has nothing for start from scratch."""

    fidelity: ClassVar[str] = TRAINED

    def refused(self, architecture: Architecture, tier: Tier) -> bool:
        """Return whether the end's profile forbids a feature of the architecture."""
        return bool(refusals(architecture, self.profiles[tier]))

    def costs(self, architecture: Architecture) -> CostsByTier:
        """Return the costs of the deploy form under both profiles."""
        traced = trace(architecture, self.images.image_size)
        return {tier: traced.costs(profile) for tier, profile in self.profiles.items()}

    def baselines(self) -> dict[str, Summary]:
        """Return the trivial baselines' figures on the validation part."""
        return {name: scores.summary for name, scores in trivial_baselines(self.images, self.split).items()}

    def evaluate(self, task: TrainingTask, on_epoch: OnEpoch | None = None) -> Evaluation:
        """Train, predict and score; NaN, divergence, lack of memory and unbuildable networks become a failure.

        A training that was stopped (``task.until_epoch``) says so in its fidelity, and so does a candidate whose
        weights, inherited ones included, were trained for less than the evaluator's course.
        """
        own = task.initial is not None or task.relative is not None
        start = None if own else self.pretrained.of(task.architecture)
        common: dict[str, Any] = {
            "architecture_id": task.architecture.id,
            "pretrained": start and start.told,
            "seed": task.seed,
            "image_size": self.images.image_size,
            "accelerator": accelerators.device_name(self.device),
            "costs": self.costs(task.architecture),
        }
        try:
            result = task.run(self.images, self.split, self.recipe, self.device, on_epoch, pretrained=self.pretrained)
        # NOTE: torch reports lack of memory and impossible shapes (batch norm over a single value) as
        # RuntimeError and ValueError; both belong to the candidate, not to the search.
        except (TrainingFailed, ValueError, RuntimeError) as error:
            failure = _reason(error)
        else:
            return self._judged(result, common)
        accelerators.empty_cache(self.device)  # now that the error has let go of what the training held
        epochs = (task.recipe or self.recipe).epochs
        return Evaluation(**common, fidelity=self.fidelity, epochs=epochs, failure=failure)

    def _judged(self, result: TrainingResult, common: Mapping[str, Any]) -> Evaluation:
        epochs = len(result.history)
        fidelity = self.fidelity if result.complete else trained_part(epochs, result.epochs)
        if result.inherited is not None and (age := result.inherited.age_epochs + epochs) < self.recipe.epochs:
            fidelity = trained_part(int(age), self.recipe.epochs)
        return Evaluation(
            **common,
            fidelity=fidelity,
            epochs=result.epochs if result.complete else epochs,
            inherited=result.inherited,
            metrics=self.scored(result.network, result.normalisation),
            history=result.history,
            best_epoch=result.best_epoch,
            training_seconds=result.seconds,
            normalisation=result.normalisation.to_record(),
            weights=accelerators.state_on_host(result.network.state_dict()),
        )

    def scored(self, network: Network, normalisation: Normalisation) -> Summary:
        """Return the figures on the validation part."""
        chosen = list(self.split.validation)
        images, masks = self.images.images[chosen], self.images.masks[chosen]
        with accelerators.watched(self.device):
            return score(predict(network, images, normalisation, self.device), masks).summary


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split()) or "no message"
    return text if isinstance(error, TrainingFailed) else f"{type(error).__name__}: {text}"[:500]
