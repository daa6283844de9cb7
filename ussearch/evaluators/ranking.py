"""Area under the ROC curve over pixels, by ranks."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt


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
