"""A prepared data set: every image decoded, resized and grouped, ready for training."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ussearch.datasets.dataset import Pixels


@dataclass(frozen=True)
class ImageSet:
    """Images and masks of one size, with what the source told about them.

    Attributes:
        images: grey levels, uint8 [N, 1, H, W], usually memory-mapped and read-only.
        masks: uint8 {0, 1} [N, 1, H, W].
        ids, labels, patients: one entry an image; label and patient are None where unknown.
        groups: int64 [N]; equal numbers mark images that must stay on one side of a split (the same
            patient, or near-duplicates of each other).
        fingerprint: SHA-256 of the content of the files, independent of the image size.
        name, reader: of the data set.
        image_size: side of the square images in pixels.
    """

    images: Pixels
    masks: Pixels
    ids: tuple[str, ...]
    labels: tuple[str | None, ...]
    patients: tuple[str | None, ...]
    groups: npt.NDArray[np.int64]
    fingerprint: str
    name: str
    reader: str
    image_size: int

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def has_lesion(self) -> npt.NDArray[np.bool_]:
        """Which masks mark at least one pixel, bool [N]."""
        return np.asarray(self.masks.reshape(len(self), -1).any(axis=1))
