"""How much of each image is lesion, and what of it is lost; from the survey where that is enough, else decoded."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from ussearch.datasets.checking.report import Vanished
from ussearch.datasets.dataset import Dataset, Sample
from ussearch.datasets.files import FileSource
from ussearch.datasets.reading import Reading
from ussearch.datasets.reading.region_decision import kept_pixels
from ussearch.datasets.reading.survey import THREADS, SampleFacts
from ussearch.datasets.small_lesions import lesions_lost
from ussearch.errors import UserError
from ussearch.runtime.geometry import resize_mask

SIDE = 64  # pixels, at which masks of near-duplicates are compared
MOST_PAIRS = 2000
OVERLAP = 0.5  # intersection over union that annotations of one picture reach


def lesion_shares(dataset: Dataset, facts: Sequence[SampleFacts]) -> npt.NDArray[np.float64]:
    """Return the share [N] of each image that is lesion; NaN where a sample cannot be read.

    Masks are decoded again only where several are united, or outlines filled.
    """
    with warnings.catch_warnings(), ThreadPoolExecutor(THREADS) as pool:
        return np.array(list(pool.map(lambda *pair: _share(dataset, *pair), dataset.samples, facts)), np.float64)


def _share(dataset: Dataset, sample: Sample, facts: SampleFacts) -> float:
    if facts.image is None:
        return float("nan")
    reading = dataset.reading or Reading()
    counted = not isinstance(dataset.source, FileSource) or not dataset.source.outlines
    if len(facts.masks) <= 1 and counted:
        height, width = facts.image.size
        return kept_pixels(facts, reading.masks, reading.region) / (height * width)
    try:
        return float(dataset.source.decode(sample)[1].mean())
    except UserError:
        return float("nan")


def masks_that_differ(dataset: Dataset, pairs: Sequence[Sequence[int]]) -> tuple[tuple[str, str], ...]:
    """Return those of the near-duplicates, index pairs, whose masks hardly overlap, by their ids.

    One that marks nothing differs from one that does. Of very many pairs, as frames of cines make, the first are looked
    at.
    """
    small: dict[int, npt.NDArray[np.bool_]] = {}

    def mask_of(index: int) -> npt.NDArray[np.bool_]:
        if index not in small:
            small[index] = resize_mask(dataset.source.decode(dataset.samples[index])[1], SIDE, SIDE) > 0
        return small[index]

    found = []
    for first, second in pairs[:MOST_PAIRS]:
        try:
            one, other = mask_of(first), mask_of(second)
        except UserError:
            continue
        union = (one | other).sum()
        if union and (one & other).sum() < OVERLAP * union:
            found.append((dataset.samples[first].id, dataset.samples[second].id))
    return tuple(found)


def clipped_values(dataset: Dataset, facts: Sequence[SampleFacts]) -> tuple[int, int]:
    """Return how many values lie beyond the grey scale, and in how many images."""
    scale = (dataset.reading or Reading()).grey_scale
    counts = [
        dataset.source.clipped(sample)
        for sample, each in zip(dataset.samples, facts, strict=True)
        if each.image is not None
        and scale.applies_to(each.image.header)
        and (each.image.low < scale.low or each.image.high > scale.high)
    ]
    return sum(counts), sum(count > 0 for count in counts)


def vanished_at(dataset: Dataset, shares: npt.NDArray[np.float64], image_size: int) -> Vanished:
    """Return which lesions have no pixel where images are made ``image_size`` x ``image_size``."""

    def lost_of(sample: Sample) -> tuple[int, int]:
        mask = dataset.source.decode(sample)[1]
        return lesions_lost(mask, resize_mask(mask, image_size, image_size))

    with_lesion = [sample for sample, share in zip(dataset.samples, shares, strict=True) if share > 0]
    with warnings.catch_warnings(), ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(lost_of, with_lesion))
    return Vanished(
        image_size=image_size,
        lesions=sum(lesions for lesions, _ in found),
        lost=sum(lost for _, lost in found),
        images=tuple(s.id for s, (lesions, lost) in zip(with_lesion, found, strict=True) if lesions == lost),
    )
