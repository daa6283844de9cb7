"""Lesions that vanish where a mask is made small."""

from __future__ import annotations

import numpy as np

from ussearch.datasets.dataset import Pixels


def lesions_lost(mask: Pixels, small: Pixels) -> tuple[int, int]:
    """Return how many separate lesions a mask {0, 1} [H, W] has, and how many of them have no pixel in ``small``.

    ``small`` is the same mask resized. A lesion is a region of pixels that touch, at corners too.
    """
    if not mask.any():
        return 0, 0
    from scipy import ndimage

    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    box = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    regions, count = ndimage.label(mask[box], structure=np.ones((3, 3), int))
    up, across = (
        ((np.arange(side)[where] + 0.5) * reduced / side).astype(int)
        for side, where, reduced in zip(mask.shape, box, small.shape, strict=True)
    )
    seen = np.unique(regions[small[np.ix_(up, across)] > 0])
    return count, count - int((seen > 0).sum())
