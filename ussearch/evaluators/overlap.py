"""Dice, IoU and false positives of masks, and the score by which candidates are chosen."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

THRESHOLD = 0.5
"""Pixels at or above this probability belong to the lesion."""

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


def dice_and_iou(predicted: Bools, masks: Bools) -> tuple[Floats, Floats]:
    """Return Dice and IoU of each image, float64 [N]; both masks empty counts 1.

    Both arguments are bool [N, ...].
    """
    flat_predicted, flat_masks = predicted.reshape(len(predicted), -1), masks.reshape(len(masks), -1)
    common = np.count_nonzero(flat_predicted & flat_masks, axis=1)
    total = np.count_nonzero(flat_predicted, axis=1) + np.count_nonzero(flat_masks, axis=1)
    agree = total == 0
    dice = np.where(agree, 1.0, 2 * common / np.maximum(total, 1))
    iou = np.where(agree, 1.0, common / np.maximum(total - common, 1))
    return dice, iou


def false_positive_rate(predicted: Bools, masks: Bools) -> float | None:
    """Return the share of the images without a lesion in which any pixel is predicted; None without such images."""
    empty = ~masks.reshape(len(masks), -1).any(axis=1)
    if not empty.any():
        return None
    return float(predicted[empty].reshape(int(empty.sum()), -1).any(axis=1).mean())


def selection_score(lesion_dice: float | None, false_positives: float | None, empty_share: float) -> float:
    """Return the score by which epochs and candidates are chosen (the objective called "Dice" in a study).

    Mean Dice on images with a lesion, minus the false-positive rate on empty images weighted by the share of
    empty images. A network that always predicts nothing scores 0, as bad as it is, where the mean Dice
    over all images would reward it with that share.
    """
    return (lesion_dice or 0.0) - empty_share * (false_positives or 0.0)


class Detection(NamedTuple):
    """The figures that choose epochs; None where the data does not define them."""

    selection: float
    lesion_dice: float | None
    false_positive_rate: float | None


def detect(probabilities: npt.NDArray[np.float32], masks: npt.NDArray[np.uint8]) -> Detection:
    """Return the figures of [N, 1, H, W] arrays that need no distances or ranks: fast enough for every epoch."""
    predicted, truth = probabilities >= THRESHOLD, masks > 0
    lesion = truth.reshape(len(truth), -1).any(axis=1)
    dice, _ = dice_and_iou(predicted, truth)
    lesion_dice = float(dice[lesion].mean()) if lesion.any() else None
    rate = false_positive_rate(predicted, truth)
    return Detection(selection_score(lesion_dice, rate, float((~lesion).mean())), lesion_dice, rate)
