"""Which images stay on the edge: a confidence score and the threshold for a requested share.

The first router is the Soft Dice Confidence, which needs no training. Higher confidence stays; an image goes
to the cloud where its confidence is *below* the threshold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ussearch.errors import UserError

ABOVE_ALL = float(np.nextafter(1.0, 2.0))
"""A threshold that no confidence reaches: everything goes to the cloud."""


def soft_dice_confidence(probabilities: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Return the confidence [N] in the masks of ``probabilities`` [N, 1, H, W]: the Dice expected of each.

    ``2 * sum(p * y) / (sum(p) + sum(y))`` with the predicted mask ``y`` (p at least 0.5); 1 - max(p) where
    the mask is empty, for which the formula gives 0 however sure the network is.
    """
    flat = probabilities.reshape(len(probabilities), int(np.prod(probabilities.shape[1:]))).astype(np.float64)
    masks = flat >= 0.5
    overlap = 2 * np.where(masks, flat, 0).sum(axis=1)
    total = flat.sum(axis=1) + masks.sum(axis=1)
    empty = ~masks.any(axis=1)
    return np.asarray(np.where(empty, 1 - flat.max(axis=1, initial=0), overlap / np.where(empty, 1, total)))


def threshold_for_share(scores: Sequence[float] | npt.NDArray[np.float64], share: float) -> float:
    """Return the threshold below which the ``share`` (0..1) of the calibration ``scores`` lies that is
    nearest to it.

    It is put in the middle between two scores, so that rounding on another machine decides nothing. Equal
    scores cannot be told apart: the nearest share that they leave possible is taken. Raises UserError for a
    share outside 0..1 or without scores.
    """
    ordered = np.sort(np.asarray(scores, dtype=np.float64))
    if not 0 <= share <= 1:
        raise UserError(f"Offload share {share} is not possible: expected a number from 0 to 1.")
    if not len(ordered) or not np.isfinite(ordered).all():
        raise UserError(
            "The router cannot be calibrated without finite scores: expected at least one calibration image."
        )
    borders = np.flatnonzero(np.diff(ordered)) + 1
    counts = np.concatenate([[0], borders, [len(ordered)]])
    below = int(counts[np.abs(counts - share * len(ordered)).argmin()])
    if below == 0:
        return 0.0 if ordered[0] > 0 else float(np.nextafter(ordered[0], -1))
    if below == len(ordered):
        return max(ABOVE_ALL, float(np.nextafter(ordered[-1], np.inf)))
    return float((ordered[below - 1] + ordered[below]) / 2)


@dataclass(frozen=True)
class Router:
    """A calibrated decision: below ``threshold`` an image goes to the cloud."""

    threshold: float
    requested_share: float

    @classmethod
    def calibrate(cls, scores: Sequence[float] | npt.NDArray[np.float64], share: float) -> Router:
        """Choose the threshold for ``share`` on the scores of images that neither network was trained on."""
        return cls(threshold_for_share(scores, share), share)

    def offloads(self, scores: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        """Return which images [N] go to the cloud."""
        return np.asarray(scores) < self.threshold

    def routed(
        self, edge: npt.NDArray[np.float32], cloud: npt.NDArray[np.float32]
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
        """Return the probabilities [N, 1, H, W] that the pair answers with, and which images went to the
        cloud.
        """
        away = self.offloads(soft_dice_confidence(edge))
        return np.where(away[:, None, None, None], cloud, edge), away
