"""Scaling of grey levels, fitted on training images only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import torch

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
