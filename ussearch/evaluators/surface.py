"""Distances between the outlines of two masks."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Bools = npt.NDArray[np.bool_]


def hausdorff95(predicted: Bools, mask: Bools) -> float:
    """Return the 95th-percentile Hausdorff distance in pixels of two masks [H, W].

    The larger of the two directed 95th percentiles of distances between outlines, as MONAI defines it. Both
    empty: 0. One empty: the image's diagonal, the largest distance that the image could hold.
    """
    if not predicted.any() and not mask.any():
        return 0.0
    if not predicted.any() or not mask.any():
        return math.hypot(*mask.shape)
    rows, columns = _bounds(predicted | mask)
    first, second = outline(predicted[rows, columns]), outline(mask[rows, columns])
    return max(_directed95(first, second), _directed95(second, first))


def outline(mask: Bools) -> Bools:
    """Return the pixels of a mask with a 4-neighbour outside of it; outside the image counts as outside."""
    padded = np.pad(mask, 1)
    inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return np.asarray(mask & ~inner)


def _directed95(start: Bools, target: Bools) -> float:
    from scipy.ndimage import distance_transform_edt

    return float(np.percentile(distance_transform_edt(~target)[start], 95))


def _bounds(mask: Bools) -> tuple[slice, slice]:
    """Return the rows and columns that hold the mask: outside of them no outline can lie."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
