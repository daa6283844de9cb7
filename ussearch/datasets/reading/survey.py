"""A first pass over all files of a data set: what each of them holds, before anything is decided.

Every file is decoded once, in two threads (decoding leaves the interpreter free); a broken one never stops the pass.
"""

from __future__ import annotations

import os
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ussearch.datasets.annotations import Drawing
from ussearch.datasets.dataset import Pixels, Problem, ProblemKind, Sample, SizeMismatchError
from ussearch.datasets.grouping import thumbnail
from ussearch.datasets.reading.mask_facts import MaskFacts
from ussearch.datasets.reading.mask_labels import WHITE, LabelPlane, label_plane
from ussearch.datasets.reading.masks import require_size
from ussearch.datasets.reading.raw_images import ImageFile, open_image_file
from ussearch.errors import UserError
from ussearch.own_files import is_own
from ussearch.runtime.grey_scale import RawFrame, scaled

if TYPE_CHECKING:
    from ussearch.runtime.frames import Box

FileProgress = Callable[[int, int], None]
"""Called with how many files were read, and of how many."""
QUANTILES = np.linspace(0.0, 1.0, 1001)
THREADS = min(2, os.cpu_count() or 1)
_AHEAD = 16  # files that are decoded before the first of them is looked at


@dataclass(frozen=True)
class ImageFacts:
    """What one image holds.

    Attributes:
        kind, turned, with_alpha: as ``ImageFile`` tells them.
        size: height and width of what is used of the frame, in pixels; ``box`` is where that lies.
        low, high: the least and the greatest value.
        quantiles: the values at ``QUANTILES`` where they are deeper than 8 bits, or a window speaks of them.
        header: the frame without its values.
        regions: the tissue regions of a DICOM file.
        thumbnail: of what is used, float32 [1024].
    """

    kind: str
    turned: bool
    with_alpha: bool
    size: tuple[int, int]
    low: float
    high: float
    quantiles: npt.NDArray[np.float32] | None
    header: RawFrame
    regions: tuple[Box, ...]
    thumbnail: npt.NDArray[np.float32]

    @property
    def is_blank(self) -> bool:
        """Whether it shows nothing: all values are the same."""
        return self.low == self.high


@dataclass(frozen=True)
class SampleFacts:
    """What the files of one sample hold, or the problem that they cannot be read with.

    ``own_masks`` counts those that ``infer`` wrote and nobody has edited since. ``in_regions`` has for each tissue
    region of a DICOM file what each mask holds inside of it.
    """

    image: ImageFacts | None = None
    masks: tuple[MaskFacts, ...] = ()
    in_regions: tuple[tuple[MaskFacts, ...], ...] = ()
    own_masks: int = 0
    problem: Problem | None = None


def survey(
    samples: Sequence[Sample], region: str = "largest", progress: FileProgress | None = None
) -> list[SampleFacts]:
    """Look at every file of ``samples``; the facts are in their order. ``region`` is what is used of DICOM files."""
    found = []
    # NOTE: decoding silences warnings for a while, which threads undo in any order; what held before is put back here.
    with warnings.catch_warnings(), ThreadPoolExecutor(THREADS) as pool:
        for number, facts in enumerate(_ahead(pool, samples, region), start=1):
            found.append(facts)
            if progress is not None:
                progress(number, len(samples))
    return found


def _ahead(pool: ThreadPoolExecutor, samples: Sequence[Sample], region: str) -> Iterator[SampleFacts]:
    """Yield facts in order while a few further files are read, so that little memory is taken."""
    waiting = iter(samples)
    running = deque(pool.submit(facts_of, sample, region) for sample in islice(waiting, _AHEAD))
    while running:
        done = running.popleft()
        running.extend(pool.submit(facts_of, sample, region) for sample in islice(waiting, 1))
        yield done.result()


def facts_of(sample: Sample, region: str = "largest") -> SampleFacts:
    """Return what the files of one sample hold."""
    try:
        file = open_image_file(sample)
        found = [_mask_facts(sample.image, mask, file) for mask in sample.masks]
        masks, in_regions = [each[0] for each in found], [each[1:] for each in found]
        own = sum(is_own(mask) for mask in sample.masks if isinstance(mask, Path))
        return SampleFacts(_image_facts(file, region), tuple(masks), tuple(zip(*in_regions, strict=True)), own)
    except UserError as error:
        kind: ProblemKind = "size mismatch" if isinstance(error, SizeMismatchError) else "unreadable file"
        return SampleFacts(problem=Problem(kind, sample.id, str(error)))


def _mask_facts(image: Path, mask: Path | Drawing, file: ImageFile) -> list[MaskFacts]:
    """Return what a mask holds, and what of it lies in each tissue region of its image."""
    if isinstance(mask, Drawing):
        require_size(image, file.size, mask, mask.size or file.size)
        layers = mask.layers(file.size)
        parts = [
            MaskFacts.of_layers(
                {code: layer[top:bottom, left:right] for code, layer in layers.items()}, (bottom - top, right - left)
            )
            for left, top, right, bottom in file.regions
        ]
        return [MaskFacts.of_layers(layers, file.size), *parts]
    plane = label_plane(mask)
    require_size(image, file.size, mask, (plane.codes.shape[0], plane.codes.shape[1]))
    return [MaskFacts.of(plane), *(MaskFacts.of(plane.cropped(*box)) for box in file.regions)]


def facts_of_arrays(image: Pixels, mask: Pixels) -> SampleFacts:
    """Return the facts of an image and a mask {0, 1} that were made, not read."""
    file = ImageFile(RawFrame(image), "8-bit grey")
    return SampleFacts(_image_facts(file, "whole"), (MaskFacts.of(LabelPlane(mask.astype(np.int32) * WHITE)),))


def _image_facts(file: ImageFile, region: str) -> ImageFacts:
    values = file.raw.values
    low, high = value_range(values)
    left, top, right, bottom = file.box(region)
    used = values[top:bottom, left:right]
    deep = values.dtype != np.uint8
    levels = scaled(used, low, high) if deep else used.astype(np.uint8, copy=False)
    return ImageFacts(
        kind=file.kind,
        turned=file.turned,
        with_alpha=file.with_alpha,
        size=(bottom - top, right - left),
        low=low,
        high=high,
        quantiles=quantiles_of(values) if deep else None,
        header=replace(file.raw, values=np.empty((0, 0), values.dtype)),  # a view would keep the frame
        regions=file.regions,
        thumbnail=thumbnail(np.ascontiguousarray(levels)),
    )


def value_range(values: npt.NDArray[np.generic]) -> tuple[float, float]:
    """Return the least and the greatest value [H, W] that is a number; 0 and 0 where there is none."""
    numbers = values[np.isfinite(values)] if values.dtype.kind == "f" else values
    return (float(numbers.min()), float(numbers.max())) if numbers.size else (0.0, 0.0)


def quantiles_of(values: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
    """Return the values [H, W] at ``QUANTILES``."""
    numbers = values[np.isfinite(values)] if values.dtype.kind == "f" else values.ravel()
    found = np.quantile(numbers, QUANTILES) if numbers.size else np.zeros(len(QUANTILES))
    return np.asarray(found, np.float32)
