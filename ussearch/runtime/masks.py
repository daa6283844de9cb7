"""Masks: the threshold that makes them, their contour, and how far two of them agree."""

from __future__ import annotations

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
    flat = len(masks), int(np.prod(masks.shape[1:]))  # NOTE: -1 cannot be found for no image at all
    flat_predicted, flat_masks = predicted.reshape(flat), masks.reshape(flat)
    common = np.count_nonzero(flat_predicted & flat_masks, axis=1)
    total = np.count_nonzero(flat_predicted, axis=1) + np.count_nonzero(flat_masks, axis=1)
    agree = total == 0
    dice = np.where(agree, 1.0, 2 * common / np.maximum(total, 1))
    iou = np.where(agree, 1.0, common / np.maximum(total - common, 1))
    return dice, iou


def dice_of(probabilities: npt.NDArray[np.float32], masks: npt.NDArray[np.uint8]) -> Floats:
    """Return the Dice [N] of probabilities and masks [N, 1, S, S]; 1 where both masks are empty."""
    return dice_and_iou(np.asarray(probabilities >= THRESHOLD), np.asarray(masks) > 0)[0]


def contour(mask: npt.NDArray[np.uint8]) -> Bools:
    """Return the pixels [H, W] of a mask that have a neighbour (above, below, left, right) outside it."""
    padded = np.pad(mask.astype(bool), 1)
    inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return np.asarray(mask.astype(bool) & ~inner)
