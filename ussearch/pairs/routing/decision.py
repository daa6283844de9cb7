"""The decision between edge and cloud: a confidence below the threshold goes to the cloud, anything else stays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ussearch.errors import UserError

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

    @classmethod
    def calibrate(cls, scores: Sequence[float] | npt.NDArray[np.float64], share: float) -> Router:
        """Choose the threshold for ``share`` on the scores of images that neither network was trained on."""
        return cls(threshold_for_share(scores, share), share)

    def offloads(self, scores: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        """Return which images [N] go to the cloud."""
        return np.asarray(scores) < self.threshold

    def routed(
        self,
        edge: npt.NDArray[np.float32],
        cloud: npt.NDArray[np.float32],
        confidence: npt.NDArray[np.float64],
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
        """Return the probabilities [N, 1, H, W] that the pair answers with, and which images went to the
        cloud.
        """
        away = self.offloads(confidence)
        return np.where(away[:, None, None, None], cloud, edge), away


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
