"""From a grey image of any size to the network's input, and from its answer back to the image."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ussearch.datasets import resize_image, resize_plane
from ussearch.evaluators.overlap import THRESHOLD

Pixels = npt.NDArray[np.uint8]


def network_input(grey: Pixels, size: int) -> Pixels:
    """Stretch a grey image uint8 [H, W] to uint8 [1, 1, size, size]."""
    return resize_image(grey, size, size)[None, None]


def probabilities_in(probabilities: npt.NDArray[np.float32], shape: tuple[int, int]) -> npt.NDArray[np.float64]:
    """Resample probabilities [S, S] to the geometry [H, W] of the image."""
    if probabilities.shape == shape:
        return probabilities.astype(np.float64)
    return resize_plane(probabilities, *shape)


def mask_in(probabilities: npt.NDArray[np.float32], shape: tuple[int, int]) -> Pixels:
    """Return the mask uint8 {0, 1} [H, W] of probabilities [S, S] in the geometry of the image."""
    return (probabilities_in(probabilities, shape) >= THRESHOLD).astype(np.uint8)


def contour(mask: Pixels) -> npt.NDArray[np.bool_]:
    """Return the pixels [H, W] of a mask that have a neighbour (above, below, left, right) outside it."""
    padded = np.pad(mask.astype(bool), 1)
    inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return np.asarray(mask.astype(bool) & ~inner)
