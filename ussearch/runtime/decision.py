"""The decision between edge and cloud: a confidence below the threshold goes to the cloud, anything else stays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

EVERYTHING_STAYS = float(np.finfo(np.float32).min)
"""A threshold that no confidence is below."""
NOTHING_STAYS = float(np.finfo(np.float32).max)
"""A threshold that every confidence is below."""


@dataclass(frozen=True)
class Router:
    """A calibrated decision: below ``threshold`` an image goes to the cloud."""

    threshold: float
    requested_share: float

    @property
    def off(self) -> bool:
        """Whether every image stays on the edge, however little sure that is."""
        return self.threshold <= EVERYTHING_STAYS

    def offloads(self, scores: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        """Return which images [N] go to the cloud."""
        return np.asarray(scores) < self.threshold


def soft_dice_confidence(probabilities: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Return the confidence [N] in the masks of ``probabilities`` [N, 1, H, W]: the Dice expected of each.

    ``2 * sum(p * y) / (sum(p) + sum(y))`` with the predicted mask ``y`` (p at least 0.5); 1 - max(p) where
    the mask is empty, for which the formula gives 0 however sure the network is (Borges et al., arXiv:2402.10665).
    """
    flat = probabilities.reshape(len(probabilities), int(np.prod(probabilities.shape[1:]))).astype(np.float64)
    masks = flat >= 0.5
    overlap = 2 * np.where(masks, flat, 0).sum(axis=1)
    total = flat.sum(axis=1) + masks.sum(axis=1)
    empty = ~masks.any(axis=1)
    return np.asarray(np.where(empty, 1 - flat.max(axis=1, initial=0), overlap / np.where(empty, 1, total)))
