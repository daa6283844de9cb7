"""From probabilities to the mask that a user gets: threshold, smallest lesion, presence, number of lesions.

All of it happens on the network's grid, where a server and a board see the same pixels, before the mask is brought to
the size of the frame. ``serving/board`` holds the same lines for Python 3.6; a test compares. Ties: a pixel at the
threshold, a lesion of exactly the smallest size and a presence at its threshold stay; of lesions of one size the one
whose first pixel comes first, row by row, counts as the larger.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from ussearch.runtime.lesions import Lesions
from ussearch.runtime.masks import THRESHOLD, Bools, dice_and_iou

Floats = npt.NDArray[np.float32]
PEAK_PART = 256
"""The peak of a lesion is the mean over as many pixels as this part of the grid has."""
Float32 = Annotated[float, AfterValidator(lambda value: float(np.float32(value)))]
"""A number that float32 holds, so that a tie with a probability is one in any precision."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Presence(_Part):
    """Whether there is a lesion: the peak of each one's probabilities, calibrated by a logistic curve.

    Lesions whose probability is below ``threshold`` are removed; where none is left, the image has none.
    """

    score: Literal["peak"] = "peak"
    slope: float = Field(gt=0, allow_inf_nan=False)
    intercept: float = Field(allow_inf_nan=False)
    threshold: float = Field(ge=0, le=1)

    def probability(self, score: float) -> float:
        """Return the calibrated probability that a score stands for a lesion."""
        z = min(max(self.slope * score + self.intercept, -60.0), 60.0)
        return 1.0 / (1.0 + math.exp(-z))

    def keeps(self, probabilities: Floats, lesions: Lesions, asked: Bools) -> Bools:
        """Return which of the lesions that are ``asked`` for [n] stay."""
        part = max(1, probabilities.size // PEAK_PART)
        keeps: Bools = asked.copy()
        values, of_pixels, surely = probabilities[lesions.mask], lesions.of_pixels(), self._surely()
        for lesion in np.flatnonzero(asked):
            if self.probability(min(1.0, float(lesions.sizes[lesion]) / part)) < self.threshold:
                keeps[lesion] = False  # too small for any probabilities
                continue
            own = values if len(keeps) == 1 else values[of_pixels == lesion]
            if np.count_nonzero(own >= surely) < part:  # else the peak is at least that
                keeps[lesion] = self.probability(_peak(own, part)) >= self.threshold
        return keeps

    def _surely(self) -> float:
        """Return a probability that is enough for a lesion whose surest pixels all have it; 2 where none is known."""
        if not 0 < self.threshold < 1:
            return 2.0
        odds = math.log(self.threshold / (1 - self.threshold))
        level = (odds - self.intercept) / self.slope + 1e-3  # a margin for what rounding does to sums
        return float(np.float32(min(max(level, 0.0), 2.0)))


class Postprocessing(_Part):
    """What becomes of one network's probabilities; as it is by default, every pixel of 0.5 and more is lesion.

    Attributes:
        threshold: pixels at or above this probability belong to a lesion.
        connectivity: of a pixel's neighbours, 4 or 8, that belong to the same lesion.
        smallest_lesion: pixels of the network's grid; smaller lesions are removed.
        presence: what a lesion has to have to stay; None where no one asks.
        most_lesions: only so many lesions stay, the largest ones; None where any number may.
        order: of the steps; there is one.
    """

    threshold: Float32 = Field(default=THRESHOLD, gt=0, lt=1)
    connectivity: Literal[4, 8] = 8
    smallest_lesion: int = Field(default=1, ge=1)
    presence: Presence | None = None
    most_lesions: int | None = Field(default=None, ge=1)
    order: tuple[Literal["threshold"], Literal["smallest_lesion"], Literal["presence"], Literal["most_lesions"]] = (
        "threshold",
        "smallest_lesion",
        "presence",
        "most_lesions",
    )

    @property
    def sentence(self) -> str:
        """What happens, in the order of the steps, in words."""
        parts = [f"a pixel is lesion from a probability of {self.threshold:g} on"]
        if self.smallest_lesion > 1:
            parts.append(f"lesions of fewer than {self.smallest_lesion} pixels of the network's grid are removed")
        if self.presence is not None:
            share = 100 * self.presence.threshold
            parts.append(f"lesions whose own probability, taken from their peak, is below {share:.1f} % are removed")
        if self.most_lesions is not None:
            parts.append(f"of the rest only the largest {self.most_lesions} stay")
        return "; ".join(parts)

    def mask(self, probabilities: Floats) -> Bools:
        """Return the mask bool [S, S] of probabilities [S, S]."""
        mask = np.asarray(probabilities >= np.float32(self.threshold))
        if self.smallest_lesion == 1 and self.presence is None and self.most_lesions is None:
            return mask
        lesions = Lesions.of(mask, self.connectivity)
        keeps = lesions.sizes >= self.smallest_lesion
        if self.presence is not None:
            keeps = self.presence.keeps(probabilities, lesions, keeps)
        if self.most_lesions is not None:
            sizes = np.where(keeps, lesions.sizes, 0)
            keeps[np.argsort(-sizes, kind="stable")[self.most_lesions :]] = False
        return lesions.only(keeps)

    def masks(self, probabilities: Floats) -> Bools:
        """Return the masks bool [N, 1, S, S] of probabilities [N, 1, S, S]."""
        found = [self.mask(each[0]) for each in probabilities]
        return np.stack(found)[:, None] if found else np.zeros(probabilities.shape, bool)

    def cleared(self, probabilities: Floats) -> Floats:
        """Return probabilities [S, S] with 0 where the threshold says lesion and a later step does not.

        They have a lesion where ``mask`` has one, and outlines between pixels as sharp as the network's.
        """
        return np.where(
            (probabilities >= np.float32(self.threshold)) & ~self.mask(probabilities), np.float32(0), probabilities
        )


class PairPostprocessing(_Part):
    """What becomes of the probabilities of both networks, each by its own record."""

    edge: Postprocessing
    cloud: Postprocessing

    @staticmethod
    def of(both: PairPostprocessing | None, tier: Literal["edge", "cloud"]) -> Postprocessing | None:
        """Return what ``both`` says of a tier; None where there is none."""
        if both is None:
            return None
        return both.edge if tier == "edge" else both.cloud


def peaks_of(probabilities: Floats, lesions: Lesions) -> npt.NDArray[np.float64]:
    """Return the peak of each lesion of probabilities [S, S], 0 to 1.

    It is the mean over a lesion's surest pixels, as many as a 256th of the grid has; where the lesion has fewer, the
    others count 0.
    """
    values, of_pixels = probabilities[lesions.mask], lesions.of_pixels()
    part = max(1, probabilities.size // PEAK_PART)
    return np.array([_peak(values[of_pixels == lesion], part) for lesion in range(len(lesions.sizes))], np.float64)


def _peak(values: Floats, part: int) -> float:
    """Return the mean over the ``part`` largest values, missing ones counting 0."""
    if len(values) > part:
        values = np.partition(values, len(values) - part)[len(values) - part :]
    return float(np.sort(values).astype(np.float64).sum() / part)


def masks_of(probabilities: Floats, how: Postprocessing | None) -> Bools:
    """Return the masks bool [N, 1, S, S] of probabilities [N, 1, S, S]; without a post-processing at threshold 0.5."""
    return (how or Postprocessing()).masks(probabilities)


def dice_of_masks(
    probabilities: Floats, masks: npt.NDArray[np.uint8], how: Postprocessing | None
) -> npt.NDArray[np.float64]:
    """Return the Dice [N] of what becomes of probabilities with masks, both [N, 1, S, S]; 1 where both are empty."""
    return dice_and_iou(masks_of(probabilities, how), np.asarray(masks) > 0)[0]
