"""Why a network's post-processing is what it is: every step with its figures without and with it."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from ussearch.evaluators.metrics.paired_bootstrap import exact_interval

Step = Literal["threshold", "smallest_lesion", "presence", "most_lesions"]
STEPS: tuple[Step, ...] = ("threshold", "presence", "smallest_lesion", "most_lesions")


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class AlarmFigures(_Part):
    """What masks of calibration images are worth; None where there are no images of the kind.

    A lesion counts as found where the predicted region has an IoU of 0.1 or more with it.
    """

    lesion_dice: float | None = Field(description="mean over images with a lesion")
    found: float | None = Field(description="share of the lesions that are found")
    false_positive_rate: float | None = Field(description="share of the images without a lesion with any pixel")

    @property
    def sentence(self) -> str:
        """The figures in words."""
        parts = [
            "" if self.lesion_dice is None else f"lesion Dice {self.lesion_dice:.3f}",
            "" if self.found is None else f"{100 * self.found:.1f} % of the lesions found",
            "" if self.false_positive_rate is None else f"{100 * self.false_positive_rate:.0f} % false positives",
        ]
        return ", ".join(filter(None, parts))


class StepEvidence(_Part):
    """One step: whether it was kept, and what the calibration images say, each judged by a choice without its group."""

    step: Step
    kept: bool
    reason: str
    without: AlarmFigures | None = None
    with_step: AlarmFigures | None = None

    @property
    def sentence(self) -> str:
        """The verdict with its figures, in words."""
        said = f"{self.step.replace('_', ' ')} {'kept' if self.kept else 'left out'}: {self.reason}"
        if self.without is None or self.with_step is None:
            return said
        return f"{said} (without: {self.without.sentence}; with: {self.with_step.sentence})"


class PostprocessingChoice(_Part):
    """What the post-processing of one network was chosen on, and every step's evidence, in the order of decisions."""

    images: int
    empty_images: int = Field(description="of them without a lesion")
    groups: int
    presence_auc: float | None = Field(description="area under the ROC curve of the surest lesion's peak, by image")
    steps: tuple[StepEvidence, ...]
    before: AlarmFigures = Field(description="at threshold 0.5, nothing removed")
    after: AlarmFigures = Field(description="of the whole on the same images, from which it was chosen")


Bools = npt.NDArray[np.bool_]


class MarkedImages(_Part):
    """On how many of some calibration images any pixel is marked, and what share of others like them that may be.

    The interval is that of Clopper and Pearson, which takes every image for itself: 0 of 8 may still be one in three.
    """

    images: int
    marked: int
    low: float = Field(description="lower end of the 95 % interval of the share")
    high: float

    @classmethod
    def of(cls, marked: Bools) -> MarkedImages | None:
        """Return what images [N] say of which some are ``marked``; None without any."""
        if not len(marked):
            return None
        count = int(np.count_nonzero(marked))
        low, high = exact_interval(count, len(marked))
        return cls(images=len(marked), marked=count, low=low, high=high)

    @property
    def sentence(self) -> str:
        """The share in words."""
        share = 100 * self.marked / self.images
        return f"{self.marked} of {self.images}, {share:.0f} % ({100 * self.low:.0f} to {100 * self.high:.0f})"


class CalibrationRates(_Part):
    """Marked images of those without a lesion and of those with one; None where there are none of a kind."""

    false_positives: MarkedImages | None
    sensitivity: MarkedImages | None

    @classmethod
    def of(cls, marked: Bools, has_lesion: Bools) -> CalibrationRates:
        """Return the rates of images [N]."""
        return cls(
            false_positives=MarkedImages.of(marked[~has_lesion]), sensitivity=MarkedImages.of(marked[has_lesion])
        )


class PairPostprocessingChoice(_Part):
    """The choices for both networks; ``reason`` says who asked for what."""

    edge: PostprocessingChoice
    cloud: PostprocessingChoice
    reason: str
    rates: dict[str, CalibrationRates] | None = Field(
        default=None,
        description="of edge, cloud and the pair (routed) on calibration images, where a goal was asked for",
    )
