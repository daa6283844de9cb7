"""Losses on logits, with deep supervision."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from ussearch.evaluators.recipe import Recipe

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
