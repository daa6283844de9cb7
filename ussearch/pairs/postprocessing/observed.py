"""A network's answers on calibration images: what any setting of the post-processing makes of each of them.

Lesions are found once for each threshold and kept as a table of their sizes, overlaps and peaks; every other setting
only says which of them stay, so that hundreds of settings are tried in no time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ussearch.pairs.postprocessing.evidence import AlarmFigures
from ussearch.runtime.lesions import Lesions
from ussearch.runtime.postprocessing import Postprocessing, peaks_of

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]
FOUND_IOU = 0.1
"""From this IoU with the lesion on a predicted region has found it."""


@dataclass(frozen=True)
class Outcomes:
    """Of N images: Dice, whether the lesion is found, whether any pixel is predicted; each [N]."""

    dice: Floats
    found: Bools
    any: Bools

    @classmethod
    def of(cls, predicted: Integers, truth: Integers, common: Integers) -> Outcomes:
        """Return the outcomes of masks and truths with so many pixels, and in common, each [N]."""
        total = predicted + truth
        dice = np.where(total == 0, 1.0, 2 * common / np.maximum(total, 1))
        return cls(dice, (truth > 0) & (common >= FOUND_IOU * (total - common)), predicted > 0)

    @classmethod
    def of_masks(cls, predicted: Bools, truth: Bools) -> Outcomes:
        """Compare masks, both [N, ...]."""
        one, two = predicted.reshape(len(truth), -1), truth.reshape(len(truth), -1)
        counts = (np.count_nonzero(each, axis=1) for each in (one, two, one & two))
        return cls.of(*counts)


@dataclass(frozen=True)
class LesionTable:
    """Every predicted lesion [L] of all images: of which image, how large, how much of it is lesion, its peak."""

    image: Integers
    size: Integers
    common: Integers
    peak: Floats


@dataclass(frozen=True)
class Observed:
    """Probabilities float32 and masks bool [N, S, S] of calibration images; ``groups`` [N] are patients."""

    probabilities: npt.NDArray[np.float32]
    truth: Bools
    groups: Integers
    _tables: dict[tuple[float, int], LesionTable] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def has_lesion(self) -> Bools:
        """Which of the images have a lesion [N]."""
        return self.lesion_pixels > 0

    @cached_property
    def lesion_pixels(self) -> Integers:
        """How many pixels of each image are lesion [N]."""
        return np.asarray(np.count_nonzero(self.truth, axis=(1, 2)), np.int64)

    def table(self, how: Postprocessing) -> LesionTable:
        """Return the lesions by the threshold and the connectivity of ``how``."""
        key = how.threshold, how.connectivity
        if key not in self._tables:
            self._tables[key] = self._lesions(how)
        return self._tables[key]

    def _lesions(self, how: Postprocessing) -> LesionTable:
        nothing = np.zeros(0, np.int64)
        columns: list[tuple[Integers, Integers, Integers, Floats]] = [(nothing, nothing, nothing, np.zeros(0))]
        for number, (probabilities, truth) in enumerate(zip(self.probabilities, self.truth, strict=True)):
            lesions = Lesions.of(probabilities >= np.float32(how.threshold), how.connectivity)
            common = np.bincount(lesions.of_pixels()[truth[lesions.mask]], minlength=len(lesions.sizes))
            peaks = peaks_of(probabilities, lesions)
            columns.append((np.full(len(peaks), number), lesions.sizes, common, peaks))
        image, size, common, peak = (np.concatenate(each) for each in zip(*columns, strict=True))
        return LesionTable(image, size, common, peak)

    def outcomes(self, how: Postprocessing) -> Outcomes:
        """Return what ``how`` makes of every image."""
        table = self.table(how)
        keeps = table.size >= how.smallest_lesion
        if how.presence is not None:
            sure = [how.presence.probability(float(peak)) >= how.presence.threshold for peak in table.peak]
            keeps = keeps & np.array(sure, bool)
        if how.most_lesions is not None:
            keeps = keeps & (_rank(table.image, np.where(keeps, table.size, 0)) < how.most_lesions)
        return self.kept(table, keeps)

    def kept(self, table: LesionTable, keeps: Bools) -> Outcomes:
        """Return the outcomes where of the lesions only those stay that ``keeps`` [L] says."""
        count = len(self.truth)
        predicted, common = (
            np.bincount(table.image, np.where(keeps, pixels, 0), count).astype(np.int64)
            for pixels in (table.size, table.common)
        )
        return Outcomes.of(predicted, self.lesion_pixels, common)

    def surest(self, how: Postprocessing) -> Floats:
        """Return the peak [N] of the surest lesion of each image that is large enough; 0 where there is none."""
        table = self.table(how)
        peaks = np.zeros(len(self.truth))
        large = table.size >= how.smallest_lesion
        np.maximum.at(peaks, table.image[large], table.peak[large])
        return peaks

    def figures(self, outcomes: Outcomes, chosen: Bools | None = None) -> AlarmFigures:
        """Return the figures of outcomes, of all images or of those ``chosen`` [N]."""
        some = np.ones(len(self.truth), bool) if chosen is None else chosen
        lesion, empty = some & self.has_lesion, some & ~self.has_lesion
        return AlarmFigures(
            lesion_dice=float(outcomes.dice[lesion].mean()) if lesion.any() else None,
            found=float(outcomes.found[lesion].mean()) if lesion.any() else None,
            false_positive_rate=float(outcomes.any[empty].mean()) if empty.any() else None,
        )


def _rank(image: Integers, size: Integers) -> Integers:
    """Return the rank [L] of each lesion among those of its image, 0 for the largest, the first of equals."""
    order = np.lexsort((np.arange(len(image)), -size, image))
    starts = np.searchsorted(image[order], image[order], side="left")
    ranks = np.empty(len(image), np.int64)
    ranks[order] = np.arange(len(image)) - starts
    return ranks
