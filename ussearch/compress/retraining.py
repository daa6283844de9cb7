"""Training a candidate again: gently, from the weights that it has, learning from the teachers where there are any."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from safetensors.torch import load_file, save
from torch import Tensor

from ussearch.accelerators import state_on_host
from ussearch.compress.candidate import WEIGHTS, CompressionCandidate
from ussearch.compress.context import Context
from ussearch.compress.distillation import Distillation
from ussearch.evaluators import Recipe, TrainingTask
from ussearch.evaluators.training.checkpoints import digest_of
from ussearch.evaluators.training.recipe import identity_of
from ussearch.files import write_atomically
from ussearch.search_spaces import Architecture, Network

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
    recipe = gentle(context.recipe, epochs)
    weights = trained_weights(context, candidate.architecture, recipe, title, initial=candidate.weights, taught=taught)
    return replace(candidate, weights=weights, file=None, precision="fp32")


def trained_weights(
    context: Context,
    architecture: Architecture,
    recipe: Recipe,
    title: str,
    *,
    initial: Mapping[str, Tensor] | None = None,
    taught: bool = True,
) -> dict[str, Tensor]:
    """Return the state of the training form after a training from ``initial``, or from random weights.

    It learns from the context's teachers where it is ``taught`` and there are any; ``title`` says in words what it is
    for. A finished training is read from the context's folder, one that was killed goes on from its checkpoint.
    """
    start = None if initial is None else digest_of(initial)
    place = context.place("training", architecture.id, identity_of(recipe), start, taught)
    if not (place / WEIGHTS).is_file():
        task = TrainingTask(
            architecture,
            context.seed,
            recipe=recipe,
            initial=initial,
            checkpoint=place / "checkpoint.safetensors",
            make_loss=partial(_distillation, context, recipe) if taught and context.teachers else None,
            title=title,
        )
        state = context.train(task).network.state_dict()
        write_atomically(place / WEIGHTS, save(state_on_host(state)))
        (place / "checkpoint.safetensors").unlink(missing_ok=True)
    return load_file(place / WEIGHTS)


def _distillation(context: Context, recipe: Recipe, network: Network) -> Distillation:
    """Return what the teachers add to the recipe's loss."""
    return Distillation(
        network,
        context.teachers,
        recipe,
        context.images.image_size,
        unlabelled=context.unlabelled,
        normalisation=context.normalisation,
        seed=context.seed,
    )
