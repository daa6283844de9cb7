"""Tiny data and networks for tests of training."""

from __future__ import annotations

import numpy as np
import pytest

from ussearch.datasets import ImageSet, Split
from ussearch.search_spaces import Architecture, Block, DecoderLevel, Stage


def disc_images(count: int = 24, size: int = 32, seed: int = 0, empty_every: int = 4) -> ImageSet:
    """Return bright discs on noise, every ``empty_every``-th image without one."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:size, :size]
    images = np.empty((count, 1, size, size), np.uint8)
    masks = np.zeros_like(images)
    for index in range(count):
        if index % empty_every:
            row, column = random.uniform(size / 4, 3 * size / 4, 2)
            masks[index, 0] = np.hypot(rows - row, columns - column) < random.uniform(size / 8, size / 4)
        images[index, 0] = np.clip(random.normal(80 + 90 * masks[index, 0], 25), 0, 255)
    nothing = (None,) * count
    return ImageSet(
        images=images,
        masks=masks,
        ids=tuple(f"disc-{index}" for index in range(count)),
        labels=nothing,
        patients=nothing,
        groups=np.arange(count),
        fingerprint=f"discs-{count}-{size}-{seed}",
        name="discs",
        reader="discs",
        image_size=size,
    )


def disc_split(images: ImageSet) -> Split:
    """Return every third image for validation, the rest for training, two each for the other parts."""
    indices = range(len(images))
    validation = tuple(index for index in indices if index % 3 == 2)
    train = tuple(index for index in indices if index % 3 != 2)
    return Split(train=train[:-4], validation=validation, calibration=train[-4:-2], test=train[-2:], fingerprint="")


def tiny(kind: str = "conv", deep_supervision: tuple[int, ...] = ()) -> Architecture:
    """Return a network of one downsampling; ``kind`` is that of its widest block."""
    down = Block(kind=kind, width=16, resample="maxpool") if kind == "fusible" else Block(kind=kind, width=16, stride=2)
    return Architecture(
        stages=(Stage(blocks=(Block(kind="conv", width=8),)), Stage(blocks=(down,))),
        decoder=(DecoderLevel(up=(Block(kind="conv", width=8, resample="bilinear"),)),),
        deep_supervision=deep_supervision,
    )


@pytest.fixture(scope="session")
def discs() -> ImageSet:
    return disc_images()


@pytest.fixture(scope="session")
def discs_split(discs: ImageSet) -> Split:
    return disc_split(discs)
