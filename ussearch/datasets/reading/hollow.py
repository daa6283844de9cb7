"""Drawn outlines, told from filled regions."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

ENCLOSES = 1.5  # times its own pixels that an outline encloses at least, itself included
INSIDE = 0.5  # share of pixels with marked neighbours on all sides that only filled regions reach


def is_hollow(marked: npt.NDArray[np.bool_]) -> bool:
    """Tell whether the marked pixels [H, W] are closed lines with nothing inside, as unfilled contours are."""
    rows, columns = np.flatnonzero(marked.any(axis=1)), np.flatnonzero(marked.any(axis=0))
    if not len(rows):
        return False
    drawn = np.pad(marked[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], 1)
    pixels = int(drawn.sum())
    inside = drawn[1:-1, 1:-1] & drawn[:-2, 1:-1] & drawn[2:, 1:-1] & drawn[1:-1, :-2] & drawn[1:-1, 2:]
    if inside.sum() >= INSIDE * pixels:
        return False
    from scipy import ndimage

    return bool(ndimage.binary_fill_holes(drawn).sum() >= ENCLOSES * pixels)
