"""What a training minimises: losses on logits with deep supervision, or something richer with parameters of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ussearch.evaluators.training.recipe import Recipe
from ussearch.search_spaces import Network

Loss = Callable[[Sequence[Tensor], Tensor], Tensor]
"""(logits [B, classes, H, W] of every output, main first; masks [B, classes, H, W]) -> scalar."""


def make_loss(recipe: Recipe) -> Loss:
    """Return the recipe's loss: Dice + focal, or Dice + cross-entropy, summed over outputs."""
    from monai.losses.dice import DiceFocalLoss, DiceLoss

    batch, smoothing = recipe.dice_over == "batch", recipe.dice_smoothing
    if recipe.loss == "dice_focal":
        single: Callable[[Tensor, Tensor], Tensor] = DiceFocalLoss(
            sigmoid=True,
            batch=batch,
            smooth_nr=smoothing,
            smooth_dr=smoothing,
            gamma=recipe.focal_gamma,
            lambda_focal=recipe.pixel_weight,
        )
    else:
        dice = DiceLoss(sigmoid=True, batch=batch, smooth_nr=smoothing, smooth_dr=smoothing)

        def single(logits: Tensor, masks: Tensor) -> Tensor:
            entropy = functional.binary_cross_entropy_with_logits(logits, masks)
            return torch.as_tensor(dice(logits, masks)) + recipe.pixel_weight * entropy

    def loss(outputs: Sequence[Tensor], masks: Tensor) -> Tensor:
        weights = output_weights(len(outputs), recipe.deep_supervision_weights)
        parts = [weight * single(output.float(), masks) for weight, output in zip(weights, outputs, strict=True)]
        return torch.stack(parts).sum() / sum(weights)

    return loss


def output_weights(outputs: int, auxiliary: Sequence[float]) -> list[float]:
    """Return one weight an output: 1 for the main one, then ``auxiliary``, whose last weight repeats."""
    tail = [*auxiliary, *[auxiliary[-1]] * outputs] if auxiliary else [0.0] * outputs
    return [1.0, *tail[: outputs - 1]]


class TrainingLoss(nn.Module):
    """A loss of a network on a batch. Its parameters are trained beside the network's and are no part of the result."""

    @property
    def made_from(self) -> Mapping[str, Any]:
        """Everything that the loss depends on besides the recipe, JSON-ready; a checkpoint belongs to it."""
        return {}

    def forward(self, network: Network, images: Tensor, masks: Tensor, step: int) -> Tensor:
        """Return the loss, a scalar, of ``network`` on images [B, C, H, W] with masks [B, classes, H, W]."""
        raise TypeError(f"{type(self).__name__} defines no forward")


class Supervised(TrainingLoss):
    """The recipe's loss on the masks, with deep supervision."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self._loss = make_loss(recipe)

    def forward(self, network: Network, images: Tensor, masks: Tensor, step: int) -> Tensor:
        """See ``TrainingLoss.forward``."""
        return self._loss(network.forward_all(images), masks)
