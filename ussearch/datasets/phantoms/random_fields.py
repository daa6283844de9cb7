"""Random numbers and smooth random fields that the parts of a phantom share."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ussearch.datasets.resize import triangle_weights

Field = npt.NDArray[np.float64]


def between(random: np.random.Generator, bounds: tuple[float, float]) -> float:
    """Return a uniform number within ``bounds``."""
    return float(random.uniform(*bounds))


def smooth_field(random: np.random.Generator, size: int, rows: int, columns: int) -> Field:
    """Return a field [size, size] of zero mean and about unit variance with ``rows`` x ``columns`` random nodes."""
    nodes = random.standard_normal((rows, columns))
    return np.asarray(triangle_weights(rows, size) @ nodes @ triangle_weights(columns, size).T) * 1.3


def smooth_curve(random: np.random.Generator, size: int, waves: int, height: float) -> Field:
    """Return a curve [size] made of ``waves`` sines of random phase, about ``height`` high."""
    position = np.linspace(0.0, 1.0, size)
    order = np.arange(1, waves + 1)[:, None]
    phases = random.uniform(0.0, 2 * np.pi, (waves, 1))
    weights = random.standard_normal((waves, 1)) / order
    return np.asarray(height * (weights * np.sin(np.pi * order * position + phases)).sum(axis=0))


def grid(size: int) -> tuple[Field, Field]:
    """Return lateral position and depth of pixel centres, both [size, size] in 0..1."""
    centres = (np.arange(size) + 0.5) / size
    depth, lateral = np.meshgrid(centres, centres, indexing="ij")
    return lateral, depth
