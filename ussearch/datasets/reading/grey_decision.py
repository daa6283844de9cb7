"""One grey scale for a data set: from the bits of its files, the window that they share, or their values."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ussearch.datasets.reading.survey import QUANTILES, ImageFacts
from ussearch.errors import UserError
from ussearch.runtime.grey_scale import BLACK, WHITE, GreyScale

PERCENTILES = (0.1, 99.9)
DEPTHS = (8, 10, 12, 14, 16)  # bits that ultrasound machines and frame grabbers give
DARK = 1 / 12  # of the scale
_FILE_BITS = 16  # of a raster file that says nothing of its depth


def decide_grey_scale(images: Sequence[ImageFacts], asked: str | None = None) -> GreyScale:
    """Decide which values become black and white.

    Files of 8 bits need nothing. A window counts where all DICOM files share it; else the bits that headers tell. Of
    16-bit files that tell nothing, the depth is the least usual one that holds 99.9 % of all values: 12 bits in 16-bit
    files are common, and so is a single marker at 65535. Floats, and integers of no usual depth, are scaled by
    percentiles.

    Args:
        images: all images of the data set; for floats, those of the training part.
        asked: ``LOW,HIGH`` as the user gave it.
    """
    if asked is not None:
        return given_scale(asked)
    windows = {image.header.window for image in images if image.header.from_dicom}
    deep = [image for image in images if image.quantiles is not None]
    if len(windows) == 1 and (window := windows.pop()) is not None and all(i.header.from_dicom for i in deep):
        low, high = window
        plain = not deep and (low, high) == (BLACK, WHITE)
        return GreyScale() if plain else GreyScale(low=low, high=high, basis="window")
    if not deep:
        return GreyScale()
    if any(image.header.span is None for image in deep):
        return _by_percentiles(deep)
    told = [image for image in deep if image.header.from_dicom or image.header.stored_bits < _FILE_BITS]
    if len(told) == len(deep):
        spans = [image.header.span for image in told if image.header.span is not None]
        return GreyScale(low=min(low for low, _ in spans), high=max(high for _, high in spans))
    return _by_depth(deep)


def is_dark(image: ImageFacts, scale: GreyScale) -> bool:
    """Tell whether nearly all values of a deep image lie in the lowest twelfth of a scale, and it would look black."""
    if image.quantiles is None or image.is_blank:
        return False
    brightest = float(image.quantiles[-2])  # 99.9 %
    return brightest < scale.low + DARK * (scale.high - scale.low)


def given_scale(asked: str) -> GreyScale:
    """Return the scale of ``LOW,HIGH``; raises UserError where that is none."""
    try:
        low, high = (float(part) for part in asked.split(","))
        usable = np.isfinite([low, high]).all() and low < high
    except ValueError:
        usable = False
    if not usable:
        raise UserError(f"--grey-scale {asked} is not possible: expected two numbers LOW,HIGH, such as 0,4095.")
    return GreyScale(low=low, high=high, basis="given")


def _by_depth(deep: Sequence[ImageFacts]) -> GreyScale:
    low, high = _percentile(deep, 0.0), _percentile(deep, PERCENTILES[1])
    bits = next((bits for bits in DEPTHS if high < 2**bits), None)
    if low < 0 or bits is None:
        return _by_percentiles(deep)
    return GreyScale(low=BLACK, high=float(2**bits - 1))


def _by_percentiles(deep: Sequence[ImageFacts]) -> GreyScale:
    low, high = (_percentile(deep, percentile) for percentile in PERCENTILES)
    return GreyScale(low=low, high=high if high > low else low + 1.0, basis="percentiles")


def _percentile(deep: Sequence[ImageFacts], percentile: float) -> float:
    """Return a percentile of the values of all images, each pixel counting once."""
    values = np.concatenate([image.quantiles for image in deep if image.quantiles is not None])
    pixels = np.array([image.size[0] * image.size[1] for image in deep], np.float64)
    ends = np.full(len(QUANTILES), 1.0)
    ends[[0, -1]] = 0.5  # the first and the last quantile stand for half a step each
    weights = (pixels[:, None] * ends[None, :]).ravel()
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    place = int(np.searchsorted(reached, percentile / 100.0 * reached[-1]))
    return float(values[order][min(place, len(values) - 1)])
