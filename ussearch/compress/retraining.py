"""Training a candidate again: gently, from the weights that it has, learning from the teachers where there are any."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors.torch import load_file, save
from torch import Tensor

from ussearch.compress.candidate import WEIGHTS, CompressionCandidate
from ussearch.compress.context import Context
from ussearch.compress.distillation import Distillation
from ussearch.evaluators import EpochRecord, Recipe, train
from ussearch.evaluators.training.checkpoints import digest_of
from ussearch.evaluators.training.losses import TrainingLoss
from ussearch.files import write_atomically
from ussearch.search_spaces import Architecture, Network, build

GENTLER = 0.3
"""Peak of the learning rate, as a share of that of the full training."""


def gentle(recipe: Recipe, epochs: int) -> Recipe:
    """Return the recipe of a training that goes on from good weights: shorter, gentler, λ of deep training at 1."""
    return recipe.model_copy(
        update={
            "epochs": epochs,
            "steps": None,
            "patience": None,
            "learning_rate": GENTLER * recipe.learning_rate,
            "schedule_fraction": 0.0,
        }
    )


def retrained(
    candidate: CompressionCandidate, context: Context, epochs: int, title: str, *, taught: bool = True
) -> CompressionCandidate:
    """Return the candidate after ``epochs`` more epochs, taught by the context's teachers where there are any."""
    training = Training(candidate.architecture, gentle(context.recipe, epochs), title, candidate.weights, taught)
    return replace(candidate, weights=training.run(context), file=None, precision="fp32")


@dataclass(frozen=True)
class Training:
    """One training of an architecture; ``title`` says in words what it is for. ``initial``: None starts at random."""

    architecture: Architecture
    recipe: Recipe
    title: str
    initial: Mapping[str, Tensor] | None
    taught: bool

    def run(self, context: Context) -> dict[str, Tensor]:
        """Return the state of the training form after it.

        A finished one is read from the context's folder; one that was killed goes on from its checkpoint.
        """
        start = None if self.initial is None else digest_of(self.initial)
        key = (self.architecture.id, self.recipe.model_dump(mode="json"), start, self.taught)
        place = context.place("training", *key)
        if not (place / WEIGHTS).is_file():
            weights = self._trained(context, place / "checkpoint.safetensors")
            write_atomically(place / WEIGHTS, save(weights))
            (place / "checkpoint.safetensors").unlink(missing_ok=True)
        return load_file(place / WEIGHTS)

    def _trained(self, context: Context, checkpoint: Path) -> dict[str, Tensor]:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(context.seed)
            network = build(self.architecture)
            training_loss = self._objective(network, context)  # its adapters start at random, too

        def tell(record: EpochRecord) -> None:
            if context.on_training:
                context.on_training(self.title, record, self.recipe.epochs)

        train(
            network,
            context.images,
            context.split,
            self.recipe,
            seed=context.seed,
            device=context.device,
            initial=self.initial,
            training_loss=training_loss,
            checkpoint=checkpoint,
            on_epoch=tell,
        )
        return {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}

    def _objective(self, network: Network, context: Context) -> TrainingLoss | None:
        """Return what the teachers add; None trains on the masks alone."""
        if not self.taught or not context.teachers:
            return None
        return Distillation(
            network,
            context.teachers,
            self.recipe,
            context.images.image_size,
            unlabelled=context.unlabelled,
            normalisation=context.normalisation,
            seed=context.seed,
        )
