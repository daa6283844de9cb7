"""Scores of a prediction that need no training. Higher confidence stays on the edge."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ussearch.evaluators import THRESHOLD
from ussearch.evaluators.metrics.segmentation import dice_and_iou

Probabilities = npt.NDArray[np.float32]
Scores = npt.NDArray[np.float64]


def soft_dice_confidence(probabilities: Probabilities) -> Scores:
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


def mean_entropy(probabilities: Probabilities) -> Scores:
    """Return the mean over pixels of the binary entropy in bits [N] of ``probabilities`` [N, 1, H, W]."""
    flat = probabilities.reshape(len(probabilities), int(np.prod(probabilities.shape[1:]))).astype(np.float64)
    inner = np.clip(flat, 1e-12, 1 - 1e-12)
    return np.asarray(-(inner * np.log2(inner) + (1 - inner) * np.log2(1 - inner)).mean(axis=1))


def flip_agreement(probabilities: Probabilities, mirrored: Probabilities) -> Scores:
    """Return the Dice [N] of the masks of ``probabilities`` [N, 1, H, W] with those of the ``mirrored`` images.

    ``mirrored`` are the probabilities of the images flipped from left to right; 1 where both masks are empty.
    """
    return dice_and_iou(probabilities >= THRESHOLD, mirrored[..., ::-1] >= THRESHOLD)[0]
