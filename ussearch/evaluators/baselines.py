"""What needs no network: every candidate must beat these, judged by the same code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from ussearch.datasets import ImageSet, Split
from ussearch.evaluators.metrics.scores import Scores, score
from ussearch.runtime.masks import THRESHOLD, dice_and_iou

Part = Literal["train", "validation", "calibration", "test"]
Probabilities = npt.NDArray[np.float32]
Baseline = Callable[[ImageSet, Sequence[int], Sequence[int]], Probabilities]
"""(images, training indices, indices to predict) -> probabilities [N, 1, H, W]."""


def trivial_baselines(images: ImageSet, split: Split, part: Part = "validation") -> dict[str, Scores]:
    """Return the scores on ``part`` of: no lesion anywhere, the mean training mask, Otsu's threshold.

    Free choices (the level of the mean mask, whether lesions are dark or bright) are made in favour of the
    baseline on the training part.
    """
    chosen = list(getattr(split, part))
    masks, spacing = images.masks[chosen], images.grid_spacing_mm
    sides = None if spacing is None else spacing[chosen]
    return {
        name: score(baseline(images, split.train, chosen), masks, spacing_mm=sides)
        for name, baseline in BASELINES.items()
    }


def _empty(images: ImageSet, train: Sequence[int], chosen: Sequence[int]) -> Probabilities:
    return np.zeros((len(chosen), 1, images.image_size, images.image_size), np.float32)


def _mean_mask(images: ImageSet, train: Sequence[int], chosen: Sequence[int]) -> Probabilities:
    """Predict the training mask's mean everywhere, cut at the level that is best for training images."""
    masks = images.masks[list(train)]
    mean = masks.mean(axis=0, dtype=np.float64)
    levels = np.linspace(0.05, 0.95, 19) * max(float(mean.max()), 1e-9)
    best = max(levels, key=lambda level: _mean_dice(np.broadcast_to(mean >= level, masks.shape), masks))
    scaled = np.clip(mean / best * THRESHOLD, 0, 1).astype(np.float32)
    repeated: Probabilities = np.broadcast_to(scaled, (len(chosen), *scaled.shape)).copy()
    return repeated


def _otsu(images: ImageSet, train: Sequence[int], chosen: Sequence[int]) -> Probabilities:
    """Split each image's grey levels in two; the darker or the brighter class is the lesion for all images."""
    dark = np.concatenate([_below_otsu(images.images[index]) for index in train])[:, None]
    masks = images.masks[list(train)]
    lesions_are_dark = _mean_dice(dark, masks) >= _mean_dice(~dark, masks)
    below = np.concatenate([_below_otsu(images.images[index]) for index in chosen])[:, None]
    return (below if lesions_are_dark else ~below).astype(np.float32)


def otsu_level(image: npt.NDArray[np.uint8]) -> int:
    """Return the grey level that splits an image with the greatest variance between the classes (Otsu 1979).

    Pixels at or below the level form the darker class.
    """
    counts = np.bincount(np.asarray(image).ravel(), minlength=256).astype(np.float64)
    weight = counts.cumsum()
    total = (counts * np.arange(256)).cumsum()
    rest = weight[-1] - weight
    with np.errstate(divide="ignore", invalid="ignore"):
        gap = total / weight - (total[-1] - total) / rest
    between = np.where((weight > 0) & (rest > 0), weight * rest * np.nan_to_num(gap) ** 2, 0.0)
    return int(between.argmax())


def _below_otsu(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    return np.asarray(image <= otsu_level(image))


def _mean_dice(predicted: npt.NDArray[np.bool_], masks: npt.NDArray[np.uint8]) -> float:
    """Return the mean Dice over images with a lesion."""
    lesion = masks.reshape(len(masks), -1).any(axis=1)
    dice, _ = dice_and_iou(predicted[lesion], masks[lesion] > 0)
    return float(dice.mean()) if len(dice) else 0.0


BASELINES: dict[str, Baseline] = {"empty": _empty, "mean mask": _mean_mask, "Otsu": _otsu}
