"""Whether there is a lesion: the calibration of a lesion's peak, and the threshold below which it is none.

Scores of whole images (mass, mean probability, Soft Dice, peak) and features of the network tell images with and
without a lesion apart about as well (area under the ROC curve 0.90 to 0.92 on BUSI); what is gained by asking every
lesion is that those beside the true one go, too: at an equal fall of Dice a third fewer false positives are left.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ussearch.pairs.postprocessing.observed import Bools, Floats, Integers, Observed
from ussearch.runtime.postprocessing import Postprocessing, Presence

DRAWS = 100


class Limits(NamedTuple):
    """Lesion Dice that may be lost, and the share of the lesions found before that may be missed."""

    dice: float
    missed: float


def area_under_roc(scores: Floats, has_lesion: Bools) -> float | None:
    """Return the probability that an image with a lesion has the higher score, ties counting one half.

    None where all images have a lesion, or none.
    """
    from scipy.stats import rankdata

    positives, negatives = np.count_nonzero(has_lesion), np.count_nonzero(~has_lesion)
    if not positives or not negatives:
        return None
    ranks = rankdata(scores)[has_lesion].sum()
    return float((ranks - positives * (positives + 1) / 2) / (positives * negatives))


def choose_presence(
    seen: Observed, how: Postprocessing, chosen: Bools, limits: Limits, confidence: float
) -> Postprocessing | None:
    """Return ``how`` with the presence that leaves the fewest false positives among the ``chosen`` images [N].

    Groups are drawn with replacement ``DRAWS`` times. From each draw comes the lowest threshold of those that keep
    ``limits`` (of what threshold 0.5 alone does) with the fewest false positives; the one is taken that a share of
    ``confidence`` of the draws would take, or a higher one. None where that is none at all.
    """
    if seen.has_lesion[chosen].all() or not seen.has_lesion[chosen].any():
        return None
    cuts = presence_cuts(seen, how, chosen)
    drawn = np.sort(_drawn_cuts(seen, how, cuts, _weights(seen.groups, chosen), limits))
    cut = int(drawn[math.floor((1 - confidence) * (len(drawn) - 1))])
    return presence_at(seen, how, float(cuts[cut]), chosen) if cut else None


def presence_at(seen: Observed, how: Postprocessing, cut: float, chosen: Bools | None = None) -> Postprocessing:
    """Return ``how`` with the presence that lesions of a peak of ``cut`` and more have; none where all of them stay.

    The curve is fitted on the ``chosen`` images [N], on all without any.
    """
    some = np.ones(len(seen.truth), bool) if chosen is None else chosen
    peaks = seen.surest(how)[some]
    if cut <= 0:
        return how
    slope, intercept = _calibrated(peaks, seen.has_lesion[some])
    presence = Presence(slope=slope, intercept=intercept, threshold=0)
    threshold = presence.probability(cut)
    return how.model_copy(update={"presence": presence.model_copy(update={"threshold": threshold})})


def presence_cuts(seen: Observed, how: Postprocessing, chosen: Bools | None = None) -> Floats:
    """Return 0, which removes nothing, and the peaks half way between neighbouring ones of images, ascending.

    The last is beyond all of them.
    """
    known = np.unique(seen.surest(how) if chosen is None else seen.surest(how)[chosen])
    return np.concatenate([[0.0], (known[1:] + known[:-1]) / 2, known[-1:] + 1e-6])


def _drawn_cuts(
    seen: Observed, how: Postprocessing, cuts: Floats, weights: Floats, limits: Limits
) -> npt.NDArray[np.int64]:
    """Return the number of the cut that each draw [D] takes, whose images have the ``weights`` [D, N]."""
    before, table = seen.outcomes(Postprocessing()), seen.table(how)
    large = table.size >= how.smallest_lesion
    found = [seen.kept(table, large & (table.peak >= cut)) for cut in cuts]
    lost = np.stack([before.dice - each.dice for each in found])
    missed = np.stack([~each.found for each in found])
    marked = np.stack([each.any for each in found])
    lesion, known, empty = (weights * some for some in (seen.has_lesion, before.found, ~seen.has_lesion))
    allowed = lesion @ lost.T <= limits.dice * lesion.sum(axis=1, keepdims=True) + 1e-9
    allowed &= known @ missed.T <= limits.missed * known.sum(axis=1, keepdims=True) + 1e-9
    return np.asarray(np.argmin(np.where(allowed, empty @ marked.T, np.inf), axis=1), np.int64)


def _weights(groups: Integers, chosen: Bools, seed: int = 0) -> Floats:
    """Return how often each image [D, N] is drawn where groups of the chosen ones are drawn with replacement."""
    members = np.unique(groups[chosen], return_inverse=True)[1].reshape(-1)
    count = int(members.max()) + 1
    drawn = np.random.default_rng(seed).integers(count, size=(DRAWS, count))
    times = np.stack([np.bincount(each, minlength=count) for each in drawn])
    weights = np.zeros((DRAWS, len(groups)))
    weights[:, chosen] = times[:, members]
    return weights


def _calibrated(scores: Floats, has_lesion: Bools) -> tuple[float, float]:
    """Return slope and intercept of the logistic curve (Platt), which rises by 1 at least: the order of peaks stays."""
    from sklearn.linear_model import LogisticRegression

    scale = max(float(scores.std()), 1e-3)
    fitted = LogisticRegression().fit((scores / scale)[:, None], has_lesion)
    slope = float(fitted.coef_[0, 0]) / scale
    if slope >= 1:
        return slope, float(fitted.intercept_[0])
    odds = has_lesion.mean() / (1 - has_lesion.mean())
    return 1.0, float(np.log(odds) - scores.mean())
