"""The images on which routing is judged."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from ussearch.datasets import ImageSet, PhantomParameters, Split, open_dataset, phantoms_from, prepare, split

FRACTIONS = (0.42, 0.07, 0.19, 0.32)
"""Train, validation, calibration, test: of 1600 phantoms 784 out of fold and 512 for testing."""
GAIN, SPECKLE, BLUR = 0.8, 0.25, 0.8
"""The shift: grey levels times 0.8, multiplied by noise of this standard deviation, blurred by so many pixels."""
Pixels = NDArray[np.uint8]


def phantoms(count: int, image_size: int, seed: int) -> tuple[ImageSet, Split]:
    """Return default phantoms and their split; nothing about their difficulty is kept but the images."""
    images = prepare(phantoms_from(PhantomParameters(count=count, image_size=image_size, seed=seed)), image_size)
    return images, split(images, FRACTIONS, seed)


def shifted(images: ImageSet, seed: int) -> ImageSet:
    """Return the images as another machine would show them: darker, with more speckle, less sharp."""
    random = np.random.default_rng([seed, 7])

    def shift(image: Pixels) -> Pixels:
        noisy = image * GAIN * random.normal(1, SPECKLE, image.shape)
        return np.clip(gaussian_filter(noisy, BLUR), 0, 255).astype(np.uint8)

    changed = np.stack([shift(image[0])[None] for image in images.images])
    return replace(images, images=changed, fingerprint=f"{images.fingerprint} shifted {GAIN} {SPECKLE} {BLUR}")


def busi(data: Path, image_size: int, *, normals: bool) -> tuple[ImageSet, Split]:
    """Return BUSI with (780 images) or without (647) its normals, all of it for training: folds judge it."""
    images = prepare(open_dataset(data, "busi"), image_size)
    chosen = [index for index in range(len(images)) if normals or images.has_lesion[index]]
    return images, Split.of({"train": chosen}, "all images", images.fingerprint)
