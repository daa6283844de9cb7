"""Figures of masks: Dice, IoU, false positives, distances between outlines, area under the ROC curve."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ussearch.runtime.masks import THRESHOLD, dice_and_iou

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


def false_positive_rate(predicted: Bools, masks: Bools) -> float | None:
    """Return the share of the images without a lesion in which any pixel is predicted; None without such images."""
    empty = ~masks.reshape(len(masks), -1).any(axis=1)
    if not empty.any():
        return None
    return float(predicted[empty].reshape(int(empty.sum()), -1).any(axis=1).mean())


def objective_of(lesion_dice: float | None, false_positives: float | None, empty_share: float) -> float:
    """Return the score by which epochs and candidates are chosen (the objective called "Dice" in a study).

    Mean Dice on images with a lesion, minus the false-positive rate on empty images weighted by the share of
    empty images. A network that always predicts nothing scores 0, as bad as it is, where the mean Dice
    over all images would reward it with that share.
    """
    return (lesion_dice or 0.0) - empty_share * (false_positives or 0.0)


def contributions(dice: Floats, has_lesion: Bools, predicted_any: Bools) -> Floats:
    """Return what each image [N] adds to the objective, by its Dice: their mean is the objective."""
    weight = len(has_lesion) / max(int(has_lesion.sum()), 1)
    return np.where(has_lesion, weight * dice, -predicted_any.astype(np.float64))


class Detection(NamedTuple):
    """The figures that choose epochs; None where the data does not define them."""

    objective: float
    lesion_dice: float | None
    false_positive_rate: float | None


def detect(probabilities: npt.NDArray[np.float32], masks: npt.NDArray[np.uint8]) -> Detection:
    """Return the figures of [N, 1, H, W] arrays that need no distances or ranks: fast enough for every epoch."""
    predicted, truth = probabilities >= THRESHOLD, masks > 0
    lesion = truth.reshape(len(truth), -1).any(axis=1)
    dice, _ = dice_and_iou(predicted, truth)
    lesion_dice = float(dice[lesion].mean()) if lesion.any() else None
    rate = false_positive_rate(predicted, truth)
    return Detection(objective_of(lesion_dice, rate, float((~lesion).mean())), lesion_dice, rate)


def hausdorff95(predicted: Bools, mask: Bools, spacing: tuple[float, float] = (1.0, 1.0)) -> float:
    """Return the 95th-percentile Hausdorff distance of two masks [H, W], in pixels or in the unit of ``spacing``.

    The larger of the two directed 95th percentiles of distances between outlines, as MONAI defines it. Both
    empty: 0. One empty: the image's diagonal, the largest distance that the image could hold. ``spacing`` are height
    and width of a pixel.
    """
    if not predicted.any() and not mask.any():
        return 0.0
    if not predicted.any() or not mask.any():
        return math.hypot(mask.shape[0] * spacing[0], mask.shape[1] * spacing[1])
    rows, columns = _bounds(predicted | mask)
    first, second = outline(predicted[rows, columns]), outline(mask[rows, columns])
    return max(_directed95(first, second, spacing), _directed95(second, first, spacing))


def outline(mask: Bools) -> Bools:
    """Return the pixels of a mask with a 4-neighbour outside of it; outside the image counts as outside."""
    padded = np.pad(mask, 1)
    inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return np.asarray(mask & ~inner)


def _directed95(start: Bools, target: Bools, spacing: tuple[float, float]) -> float:
    from scipy.ndimage import distance_transform_edt

    return float(np.percentile(distance_transform_edt(~target, sampling=spacing)[start], 95))


def _bounds(mask: Bools) -> tuple[slice, slice]:
    """Return the rows and columns that hold the mask: outside of them no outline can lie."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def pixel_auc(probabilities: npt.NDArray[np.float32], mask: npt.NDArray[np.bool_]) -> float:
    """Return the probability that a lesion pixel scores above a background pixel, ties counting one half.

    This is the Mann-Whitney form of the area under the ROC curve, exact with ties. NaN where the mask holds
    one class only: nothing can be ranked.
    """
    positives, negatives = probabilities[mask], np.sort(probabilities[~mask])
    if not len(positives) or not len(negatives):
        return math.nan
    positives = np.sort(positives)
    below = np.searchsorted(negatives, positives, "left")
    not_above = np.searchsorted(negatives, positives, "right")
    return float((below + not_above).sum() / (2 * len(positives) * len(negatives)))
