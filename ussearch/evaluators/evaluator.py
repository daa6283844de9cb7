"""From an architecture to what it is worth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor

from ussearch.datasets import ImageSet, Normalisation, Split
from ussearch.evaluators.baselines import trivial_baselines
from ussearch.evaluators.costs import refusals, trace
from ussearch.evaluators.evaluation import TRAINED, CostsByTier, Evaluation, Tier, trained_part
from ussearch.evaluators.metrics.scores import Summary, score
from ussearch.evaluators.prediction import predict
from ussearch.evaluators.training.engine import OnEpoch, TrainingFailed, TrainingResult, train
from ussearch.evaluators.training.recipe import Recipe
from ussearch.hardware_profiles import Profile
from ussearch.search_spaces import Architecture, Network, build


class Evaluator(Protocol):
    """What a search needs to know of candidates."""

    @property
    def fidelity(self) -> str:
        """How accuracy is come by; figures of different fidelity are never compared."""

    def refused(self, architecture: Architecture, tier: Tier) -> bool:
        """Return whether an end cannot run the architecture's operators at all (cheaper than ``costs``)."""

    def costs(self, architecture: Architecture) -> CostsByTier:
        """Return the costs on both ends without training; raises ValueError where it cannot be built."""

    def evaluate(self, architecture: Architecture, seed: int, on_epoch: OnEpoch | None = None) -> Evaluation:
        """Return the candidate's worth; a candidate that fails gives a record with its ``failure``."""

    def baselines(self) -> dict[str, Summary]:
        """Return the figures of predictors that need no network, by name."""


@dataclass(frozen=True)
class TrainEvaluator:
    """Trains every candidate from scratch by one recipe and judges it on the validation part."""

    images: ImageSet
    split: Split
    recipe: Recipe
    profiles: Mapping[Tier, Profile]
    device: torch.device | str = "cpu"

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

    def evaluate(
        self,
        architecture: Architecture,
        seed: int,
        on_epoch: OnEpoch | None = None,
        *,
        initial: Mapping[str, Tensor] | None = None,
        checkpoint: Path | None = None,
        until_epoch: int | None = None,
    ) -> Evaluation:
        """Train, predict and score; NaN, divergence, lack of memory and unbuildable networks become a failure.

        ``initial``, ``checkpoint`` and ``until_epoch`` are those of ``training.train``; a training that was stopped
        says so in its fidelity. From ``initial`` weights λ of deep training is 1 from the first step: they have been
        through it.
        """
        common: dict[str, Any] = {
            "architecture_id": architecture.id,
            "seed": seed,
            "image_size": self.images.image_size,
            "accelerator": device_name(self.device),
            "costs": self.costs(architecture),
        }
        try:
            network, result = self.trained(
                architecture, seed, on_epoch, initial=initial, checkpoint=checkpoint, until_epoch=until_epoch
            )
        # NOTE: torch reports lack of memory and impossible shapes (batch norm over a single value) as
        # RuntimeError and ValueError; both belong to the candidate, not to the search.
        except (TrainingFailed, ValueError, RuntimeError) as error:
            return Evaluation(**common, fidelity=self.fidelity, epochs=self.recipe.epochs, failure=_reason(error))
        epochs = len(result.history)
        return Evaluation(
            **common,
            fidelity=self.fidelity if result.complete else trained_part(epochs, result.epochs),
            epochs=result.epochs if result.complete else epochs,
            metrics=self.scored(network, result.normalisation),
            history=result.history,
            best_epoch=result.best_epoch,
            training_seconds=result.seconds,
            normalisation=result.normalisation.to_record(),
            weights={name: value.detach().cpu() for name, value in network.state_dict().items()},
        )

    def trained(
        self,
        architecture: Architecture,
        seed: int,
        on_epoch: OnEpoch | None = None,
        *,
        initial: Mapping[str, Tensor] | None = None,
        checkpoint: Path | None = None,
        until_epoch: int | None = None,
    ) -> tuple[Network, TrainingResult]:
        """Return a network trained from its seeded start, or from ``initial``; raises TrainingFailed."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = build(architecture)
        recipe = self.recipe if initial is None else self.recipe.model_copy(update={"schedule_fraction": 0.0})
        return network, train(
            network,
            self.images,
            self.split,
            recipe,
            seed=seed,
            device=self.device,
            initial=initial,
            checkpoint=checkpoint,
            until_epoch=until_epoch,
            on_epoch=on_epoch,
        )

    def scored(self, network: Network, normalisation: Normalisation) -> Summary:
        """Return the figures on the validation part."""
        chosen = list(self.split.validation)
        images, masks = self.images.images[chosen], self.images.masks[chosen]
        return score(predict(network, images, normalisation, self.device), masks).summary


def device_name(device: torch.device | str) -> str:
    """Return the name of the hardware that trains."""
    kind = torch.device(device)
    return torch.cuda.get_device_name(kind) if kind.type == "cuda" else str(kind)


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split()) or "no message"
    return text if isinstance(error, TrainingFailed) else f"{type(error).__name__}: {text}"[:500]
