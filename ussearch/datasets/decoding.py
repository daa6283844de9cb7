"""From mask files to one binary mask."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ussearch.datasets.dataset import Pixels, SizeMismatchError
from ussearch.runtime.frames import grey_levels, is_raster, opened_image

LOSSY_SUFFIXES = frozenset({".jpg", ".jpeg"})


def raster_files(folder: Path) -> list[Path]:
    """Return the raster images directly inside ``folder``, sorted by name; empty where there is no such folder."""
    return sorted(path for path in folder.iterdir() if is_raster(path)) if folder.is_dir() else []


def read_mask(path: Path) -> Pixels:
    """Return a mask file as uint8 {0, 1} [H, W].

    Lossless files may use any two levels (0/1, 0/255, palette): pixels above half of the greatest level
    are lesion. In lossy files artefacts surround the edge, so the lesion is what exceeds 127.
    """
    with opened_image(path) as image:
        levels = grey_levels(image)
    half = 127 if path.suffix.lower() in LOSSY_SUFFIXES else int(levels.max(initial=0)) // 2
    return (levels > half).astype(np.uint8)


def united_mask(image: Path, shape: tuple[int, int], masks: tuple[Path, ...]) -> Pixels:
    """Return the union of mask files as uint8 {0, 1} of ``shape``; UserError where a mask has another size."""
    union = np.zeros(shape, np.uint8)
    for path in masks:
        mask = read_mask(path)
        if mask.shape != shape:
            raise SizeMismatchError(
                f"Mask {path} is {mask.shape[1]} x {mask.shape[0]} pixels but its image {image.name} is "
                f"{shape[1]} x {shape[0]}: export the mask at the size of the image."
            )
        union |= mask
    return union
