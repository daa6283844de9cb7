"""Resizing with numpy alone, and the way from an image of any size to the network's input and back.

The edge runtime has neither Pillow nor torch, so what the network is trained on is made by the same few lines that
the device runs (``serving/board`` holds them again; a test compares). Resizing is a separable, antialiased triangle
filter as two matrix products. Enlarging is bilinear interpolation between pixel centres; reducing widens the triangle
to the size of a target pixel, as Pillow's ``BILINEAR`` does.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from ussearch.runtime.masks import THRESHOLD

Pixels = npt.NDArray[np.uint8]


@lru_cache(maxsize=256)
def triangle_weights(source: int, target: int) -> npt.NDArray[np.float64]:
    """Return the matrix [target, source], rows summing to one, that resamples ``source`` pixels to ``target``."""
    scale = source / target
    support = max(scale, 1.0)
    centres = (np.arange(target) + 0.5) * scale - 0.5
    distance = np.abs(np.arange(source)[None, :] - centres[:, None]) / support
    weights = np.maximum(0.0, 1.0 - distance)
    weights /= weights.sum(axis=1, keepdims=True)
    weights.setflags(write=False)
    return weights


def resize_plane(plane: npt.NDArray[np.generic], height: int, width: int) -> npt.NDArray[np.float64]:
    """Resample a plane [H, W] of any number type to float64 [height, width]."""
    rows = triangle_weights(plane.shape[0], height)
    columns = triangle_weights(plane.shape[1], width)
    return np.asarray(rows @ plane.astype(np.float64) @ columns.T)


def resize_image(image: Pixels, height: int, width: int) -> Pixels:
    """Resample grey uint8 [H, W] to uint8 [height, width], rounding half up."""
    if image.shape == (height, width):
        return image
    return np.clip(np.floor(resize_plane(image, height, width) + 0.5), 0, 255).astype(np.uint8)


def resize_mask(mask: Pixels, height: int, width: int) -> Pixels:
    """Resample a mask {0, 1} [H, W] to uint8 {0, 1} [height, width]: lesion where it covers at least half."""
    if mask.shape == (height, width):
        return mask
    return (resize_plane(mask, height, width) >= 0.5).astype(np.uint8)


def network_input(grey: Pixels, size: int) -> Pixels:
    """Stretch a grey image uint8 [H, W] to uint8 [1, 1, size, size]."""
    return resize_image(grey, size, size)[None, None]


def probabilities_in(probabilities: npt.NDArray[np.float32], shape: tuple[int, int]) -> npt.NDArray[np.float64]:
    """Resample probabilities [S, S] to the geometry [H, W] of the image."""
    if probabilities.shape == shape:
        return probabilities.astype(np.float64)
    return resize_plane(probabilities, *shape)


def mask_in(probabilities: npt.NDArray[np.float32], shape: tuple[int, int], threshold: float = THRESHOLD) -> Pixels:
    """Return the mask uint8 {0, 1} [H, W] of probabilities [S, S] in the geometry of the image."""
    return (probabilities_in(probabilities, shape) >= threshold).astype(np.uint8)
