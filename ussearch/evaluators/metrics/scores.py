"""What predictions are worth, image by image and in summary."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ussearch.evaluators.metrics.segmentation import (
    Bools,
    Floats,
    false_positive_rate,
    hausdorff95,
    objective_of,
    pixel_auc,
)
from ussearch.runtime.masks import THRESHOLD, dice_and_iou

CONVENTION = (
    "Metrics are taken per image at threshold 0.5 on the resized grid, then averaged. Dice and IoU: both masks empty "
    "counts 1. HD95 in pixels of that grid: both empty 0, one empty the image's diagonal. AUC over pixels, only for "
    "images with a lesion. An empty image is a false positive when any pixel is predicted. Objective = lesion Dice - "
    "share of empty images x false-positive rate."
)
"""Printed beside every table."""
POSTPROCESSED = CONVENTION.replace("at threshold 0.5 on the resized grid", "of the post-processed masks on their grid")
"""Printed beside the figures of a bundle, whose networks have a post-processing."""

PERCENTILES = (5, 25, 50, 75, 95)

Summary = dict[str, float | None]
"""Figures by name; None where they are not defined for the data (no empty image, no lesion)."""


@dataclass(frozen=True)
class Scores:
    """Metrics of N predictions; arrays are [N].

    ``auc`` is NaN for images without a lesion (or all lesion). ``hd95`` is in pixels, ``hd95_mm`` in mm, NaN where the
    size of pixels is unknown; None where it is of all images.
    """

    dice: Floats
    iou: Floats
    auc: Floats
    hd95: Floats
    has_lesion: Bools
    predicted_any: Bools
    hd95_mm: Floats | None = None

    convention = CONVENTION

    @property
    def summary(self) -> Summary:
        """Mean, SD (``_sd``) and percentiles (``_p5`` ...) of each metric, and the rates over images.

        ``lesion_dice``, ``iou``, ``auc`` and ``hd95`` speak of images with a lesion, ``dice_all``, ``iou_all``
        and ``hd95_all`` of every image. ``hd95_mm`` speaks of those with a lesion whose pixels have a known size, and
        is there where any have.
        """
        rate = false_positive_rate(self.predicted_any[:, None], self.has_lesion[:, None])
        empty_share = float(1 - self.has_lesion.mean())
        result: Summary = {"images": len(self.dice), "lesion_images": int(self.has_lesion.sum())}
        for name, values in self._series():
            result |= _describe(name, values[~np.isnan(values)])
        result["false_positive_rate"] = rate
        result["empty_share"] = empty_share
        result["objective"] = objective_of(result["lesion_dice"], rate, empty_share)
        return result

    def _series(self) -> Iterator[tuple[str, Floats]]:
        lesion = self.has_lesion
        yield from (("lesion_dice", self.dice[lesion]), ("dice_all", self.dice))
        yield from (("iou", self.iou[lesion]), ("iou_all", self.iou))
        yield from (("auc", self.auc[lesion]), ("hd95", self.hd95[lesion]), ("hd95_all", self.hd95))
        if self.hd95_mm is not None:
            yield "hd95_mm", self.hd95_mm[lesion]


def score(
    probabilities: npt.NDArray[np.float32],
    masks: npt.NDArray[np.uint8],
    predicted: Bools | None = None,
    spacing_mm: Floats | None = None,
) -> Scores:
    """Compare probabilities [N, 1, H, W] with masks [N, 1, H, W] (non-zero is lesion).

    ``predicted`` are the masks that were made of the probabilities, where it was not by the threshold 0.5; AUC is that
    of the probabilities. ``spacing_mm`` are height and width of each image's pixels, [N, 2], NaN where unknown.
    """
    if probabilities.shape != masks.shape:
        raise ValueError(f"probabilities {probabilities.shape} and masks {masks.shape} differ in shape")
    predicted, truth = probabilities >= THRESHOLD if predicted is None else predicted, np.asarray(masks) > 0
    dice, iou = dice_and_iou(predicted, truth)
    pairs = list(zip(probabilities[:, 0], predicted[:, 0], truth[:, 0], strict=True))
    return Scores(
        dice=dice,
        iou=iou,
        auc=np.array([pixel_auc(values, mask) for values, _, mask in pairs]),
        hd95=np.array([hausdorff95(guess, mask) for _, guess, mask in pairs]),
        has_lesion=np.asarray(truth.reshape(len(truth), -1).any(axis=1)),
        predicted_any=np.asarray(predicted.reshape(len(predicted), -1).any(axis=1)),
        hd95_mm=_in_mm(predicted[:, 0], truth[:, 0], spacing_mm),
    )


def _in_mm(predicted: Bools, truth: Bools, spacing_mm: Floats | None) -> Floats | None:
    """Return distances in mm, NaN where the size of pixels is unknown; None where it is of all images."""
    if spacing_mm is None or np.isnan(spacing_mm).all():
        return None
    sides = [(float(height), float(width)) for height, width in spacing_mm]
    return np.array(
        [
            math.nan if math.isnan(sum(side)) else hausdorff95(guess, mask, side)
            for guess, mask, side in zip(predicted, truth, sides, strict=True)
        ]
    )


def _describe(name: str, values: Floats) -> Summary:
    if not len(values):
        suffixes = ("", "_sd", *(f"_p{percent}" for percent in PERCENTILES))
        return dict.fromkeys(f"{name}{suffix}" for suffix in suffixes)
    percentiles = np.percentile(values, PERCENTILES)
    return {
        name: float(values.mean()),
        f"{name}_sd": float(values.std(ddof=1)) if len(values) > 1 else 0.0,
        **{f"{name}_p{percent}": float(value) for percent, value in zip(PERCENTILES, percentiles, strict=True)},
    }
