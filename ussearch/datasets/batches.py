"""Training batches from images that stay as uint8 on the device that trains, and the scaling of their grey levels."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ussearch.accelerators import kept_on, to_device
from ussearch.datasets.augmentation import AugmentationSettings, augment
from ussearch.datasets.dataset import ImageSet

Values = TypeVar("Values", "npt.NDArray[np.float32]", "torch.Tensor")


@dataclass(frozen=True)
class Normalisation:
    """Mean and standard deviation of the grey levels, both in units of 0..255."""

    mean: float
    std: float

    @classmethod
    def fit(cls, images: npt.NDArray[np.uint8], indices: Sequence[int] | None = None) -> Normalisation:
        """Fit on ``images`` [N, 1, H, W], or on those at ``indices``, exactly, from the grey-level histogram."""
        counts = np.zeros(256, np.int64)
        for index in range(len(images)) if indices is None else indices:
            counts += np.bincount(np.asarray(images[index]).ravel(), minlength=256)
        if not counts.any():
            raise ValueError("a normalisation needs at least one image")
        levels = np.arange(256)
        mean = float((counts * levels).sum() / counts.sum())
        variance = float((counts * (levels - mean) ** 2).sum() / counts.sum())
        return cls(mean, max(variance**0.5, 1.0))

    def apply(self, values: Values) -> Values:
        """Return (values - mean) / std for float values in 0..255."""
        return (values - self.mean) / self.std

    def to_record(self) -> dict[str, float]:
        """Return the two numbers as JSON-ready data."""
        return {"mean": self.mean, "std": self.std}

    @classmethod
    def from_record(cls, record: dict[str, float]) -> Normalisation:
        """Rebuild what ``to_record`` gave."""
        return cls(float(record["mean"]), float(record["std"]))


class Batches:
    """Shuffled, augmented, normalised batches; the same for the same (seed, epoch) on the same kind of device.

    ``empty_fraction`` is periodic under-sampling (LAEDNet, section 4.3: one half): each epoch takes every
    image with a lesion and another random share of the empty ones. None takes all.
    """

    def __init__(
        self,
        image_set: ImageSet,
        indices: Sequence[int],
        normalisation: Normalisation,
        batch_size: int,
        *,
        device: torch.device | str = "cpu",
        seed: int = 0,
        augment: bool | AugmentationSettings = True,
        empty_fraction: float | None = None,
    ) -> None:
        """Copy the images at ``indices`` to ``device``; ``augment`` may be the settings to use.

        Where a card has no room for all of them (other workers have theirs there), batches are copied one by one.
        """
        if not indices or batch_size < 1:
            raise ValueError("batches need at least one image and a batch size of at least 1")
        chosen = np.asarray(indices, np.int64)
        self.device = torch.device(device)
        pixels, masks = torch.from_numpy(image_set.images[chosen]), torch.from_numpy(image_set.masks[chosen])
        self._images, self._masks = kept_on(self.device, (pixels, masks))
        lesion = image_set.masks[chosen].reshape(len(chosen), -1).any(axis=1)
        self._lesions, self._empties = np.flatnonzero(lesion), np.flatnonzero(~lesion)
        self._normalisation, self._batch_size, self._seed = normalisation, batch_size, seed
        self._settings = AugmentationSettings() if augment is True else augment
        share = 1.0 if empty_fraction is None else empty_fraction
        kept = round(share * len(self._empties))
        self._empties_kept = kept if len(self._lesions) else max(kept, 1)

    @property
    def images_per_epoch(self) -> int:
        """How many images an epoch shows."""
        return len(self._lesions) + self._empties_kept

    def __len__(self) -> int:
        """Return the number of batches of an epoch."""
        return math.ceil(self.images_per_epoch / self._batch_size)

    def epoch(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield (images float32 [B, 1, H, W] normalised, masks float32 {0, 1} [B, 1, H, W]).

        Batch sizes differ by one at most and never exceed ``batch_size``, so that no batch is too small for
        batch statistics.
        """
        order = np.random.default_rng([self._seed, epoch])
        generator = torch.Generator().manual_seed(int(order.integers(2**62)))
        positions = to_device(torch.from_numpy(self._order(order)), self._images.device)
        for at in torch.tensor_split(positions, len(self)):
            images = to_device(self._images[at], self.device).float()
            masks = to_device(self._masks[at], self.device).float()
            if self._settings:
                images, masks = augment(images, masks, generator, self._settings)
            yield self._normalisation.apply(images), masks

    def _order(self, random: np.random.Generator) -> npt.NDArray[np.int64]:
        empties = random.permutation(self._empties)[: self._empties_kept]
        return random.permutation(np.concatenate([self._lesions, empties]))
