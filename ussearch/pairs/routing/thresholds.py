"""Thresholds of a router, chosen on the scores of calibration images so that a wanted share lies below."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ussearch.errors import UserError
from ussearch.runtime.decision import EVERYTHING_STAYS, NOTHING_STAYS


def threshold_for_share(scores: Sequence[float] | npt.NDArray[np.float64], share: float) -> float:
    """Return the threshold below which the ``share`` (0..1) of the calibration ``scores`` lies that is
    nearest to it.

    Equal scores cannot be told apart: the nearest share that they leave possible is taken. Raises UserError for a
    share outside 0..1 or without scores.
    """
    ordered = ordered_scores(scores)
    if not 0 <= share <= 1:
        raise UserError(f"Offload share {share} is not possible: expected a number from 0 to 1.")
    counts = possible_counts(ordered)
    return threshold_below(ordered, int(counts[np.abs(counts - share * len(ordered)).argmin()]))


def threshold_within_share(scores: Sequence[float] | npt.NDArray[np.float64], share: float) -> float:
    """Return the highest threshold below which no more than ``share`` (0..1) of the calibration ``scores`` lies."""
    ordered = ordered_scores(scores)
    counts = possible_counts(ordered)
    return threshold_below(ordered, int(counts[counts <= share * len(ordered) + 1e-9].max()))


def ordered_scores(scores: Sequence[float] | npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return ``scores`` in ascending order; raises UserError where there are none or one is not finite."""
    ordered = np.sort(np.asarray(scores, dtype=np.float64))
    if not len(ordered) or not np.isfinite(ordered).all():
        raise UserError(
            "The router cannot be calibrated without finite scores: expected at least one calibration image."
        )
    return ordered


def possible_counts(ordered: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Return how many of ``ordered`` scores can lie below a threshold: equal ones go together."""
    return np.concatenate([[0], np.flatnonzero(np.diff(ordered)) + 1, [len(ordered)]]).astype(np.int64)


def threshold_below(ordered: npt.NDArray[np.float64], count: int) -> float:
    """Return a threshold below which exactly the first ``count`` of ``ordered`` scores lie.

    It is put in the middle between two scores, so that rounding on another machine decides nothing.
    """
    if count == 0:
        return EVERYTHING_STAYS
    if count == len(ordered):
        return NOTHING_STAYS
    return float((ordered[count - 1] + ordered[count]) / 2)
