"""Annotations drawn as a closed curve become filled regions."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from ussearch.datasets.dataset import Pixels

SOLID = 0.6  # share of its convex hull that a filled region covers at least; a drawn curve covers far less


def filled(mask: Pixels) -> Pixels:
    """Return ``mask`` with its outlines filled, uint8 {0, 1} of the same shape; filled regions stay.

    Holes are filled first. What still covers little of its convex hull is a curve with gaps, or one cut by
    the border of the image; it is replaced by the hull, which is exact for the ellipses of HC18.
    """
    if not mask.any():
        return mask
    closed = without_holes(mask)
    hull = convex_hull(closed)
    return closed if closed.sum() >= SOLID * hull.sum() else hull


def without_holes(mask: Pixels) -> Pixels:
    """Return ``mask`` with every background region filled that does not reach the border of the image."""
    from scipy import ndimage

    regions, count = ndimage.label(mask == 0)
    is_hole = np.ones(count + 1, bool)
    for edge in (regions[0], regions[-1], regions[:, 0], regions[:, -1]):
        is_hole[edge] = False
    is_hole[0] = True  # the mask itself
    filled: Pixels = is_hole[regions].astype(np.uint8)
    return filled


def convex_hull(mask: Pixels) -> Pixels:
    """Return the filled convex hull of the marked pixels, uint8 {0, 1} of the same shape."""
    from scipy.spatial import ConvexHull, QhullError

    rows = np.flatnonzero(mask.any(axis=1))
    first = mask[rows].argmax(axis=1)
    last = mask.shape[1] - 1 - mask[rows, ::-1].argmax(axis=1)
    points = np.unique(np.concatenate([np.stack([first, rows], 1), np.stack([last, rows], 1)]), axis=0)
    try:
        corners = points[ConvexHull(points).vertices]
    except (QhullError, ValueError):  # all points on one line: its own hull
        return mask
    canvas = Image.new("L", (mask.shape[1], mask.shape[0]))
    ImageDraw.Draw(canvas).polygon([(int(x), int(y)) for x, y in corners], fill=1, outline=1)
    return np.array(canvas, np.uint8) | mask
