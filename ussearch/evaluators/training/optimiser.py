"""The optimiser of a training: which parameters decay, and which learn at a rate of their own."""

from __future__ import annotations

from typing import Any

import torch

from ussearch.accelerators import has_fused_optimisers
from ussearch.evaluators.training.losses import TrainingLoss
from ussearch.evaluators.training.recipe import Recipe
from ussearch.search_spaces import Network


def make_optimiser(
    network: Network, training_loss: TrainingLoss, pretrained: frozenset[str], recipe: Recipe, device: torch.device
) -> torch.optim.AdamW:
    """Return the optimiser of a network and of a loss that has parameters; ``pretrained`` names what others trained."""
    return torch.optim.AdamW(
        _parameter_groups(network, training_loss, pretrained, recipe),
        lr=recipe.learning_rate,
        betas=(0.9, recipe.second_moment_decay),
        fused=has_fused_optimisers(device),
    )


def set_learning_rate(optimiser: torch.optim.Optimizer, learning_rate: float) -> None:
    """Set the learning rate of the next step, in each group times its factor."""
    for group in optimiser.param_groups:
        group["lr"] = group["factor"] * learning_rate


def _parameter_groups(
    network: Network, training_loss: TrainingLoss, pretrained: frozenset[str], recipe: Recipe
) -> list[dict[str, Any]]:
    """Return the optimiser's groups: weights decay, norms and biases do not; what is pretrained has its own rate."""
    named = [*network.named_parameters(), *(("", parameter) for parameter in training_loss.parameters())]
    groups = []
    for slow in (False, True) if pretrained else (False,):
        chosen = [parameter for name, parameter in named if (name in pretrained) == slow]
        factor = recipe.encoder_learning_rate_factor if slow else 1.0
        for decays in (True, False):
            parameters = [each for each in chosen if (each.ndim > 1) == decays]
            decay = recipe.weight_decay if decays else 0.0
            groups.append({"params": parameters, "weight_decay": decay, "factor": factor})
    return groups
