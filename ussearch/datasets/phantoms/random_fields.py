"""Random numbers, smooth random fields and star-shaped outlines that the parts of a phantom share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ussearch.runtime.geometry import triangle_weights

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


@dataclass(frozen=True)
class Shape:
    """An outline r(angle) around a centre, stretched to two radii and turned; lengths in sides of the image."""

    lateral: float
    depth: float
    radius_lateral: float
    radius_depth: float
    angle: float = 0.0
    harmonics: tuple[tuple[int, float, float], ...] = ()  # (order, amplitude, phase) of smooth waves
    lobes: tuple[int, float, float] = (0, 0.0, 0.0)  # (number, depth of the notches, phase)

    def inwards(self, lateral: Field, depth: Field) -> Field:
        """Return about the distance to the outline, positive inside, at positions in 0..1."""
        across, down = lateral - self.lateral, depth - self.depth
        cosine, sine = np.cos(self.angle), np.sin(self.angle)
        u = (cosine * across + sine * down) / self.radius_lateral
        v = (cosine * down - sine * across) / self.radius_depth
        angle = np.arctan2(v, u)
        outline = np.ones_like(angle)
        for order, amplitude, phase in self.harmonics:
            outline += amplitude * np.cos(order * angle + phase)
        number, notch, phase = self.lobes
        outline -= notch * (1.0 - np.abs(np.cos(0.5 * number * angle + phase)))
        return np.asarray((outline - np.hypot(u, v)) * min(self.radius_lateral, self.radius_depth))


def lesion_shape(random: np.random.Generator, lateral: float, depth: float, radius: float) -> Shape:
    """Return an ellipse, an irregular or a lobulated outline of about ``radius``."""
    aspect = float(np.exp(random.normal(0.2, 0.22)))
    place = (lateral, depth, radius * aspect**0.5, radius / aspect**0.5, float(random.normal(0.0, 0.35)))
    kind = random.choice(3, p=[0.3, 0.45, 0.25])
    if kind == 0:
        return Shape(*place)
    if kind == 1:
        roughness = between(random, (0.1, 0.32))
        waves = ((k, roughness * float(random.normal()) / k, between(random, (0, 2 * np.pi))) for k in range(2, 9))
        return Shape(*place, harmonics=tuple(waves))
    number = int(random.integers(3, 7))
    return Shape(*place, lobes=(number, between(random, (0.2, 0.4)), between(random, (0, np.pi))))


def coverage(inwards: Field, edge_width: float) -> Field:
    """Return how much of each pixel belongs to the region, 0..1, over an edge of the given width."""
    return np.asarray(np.clip(0.5 + inwards / edge_width, 0.0, 1.0))
