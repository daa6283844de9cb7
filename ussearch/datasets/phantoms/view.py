"""The field of view: the whole rectangle of a linear probe, or the sector of a curved one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ussearch.datasets.phantoms.parameters import PhantomParameters
from ussearch.datasets.phantoms.random_fields import Field, between, grid


@dataclass(frozen=True)
class View:
    """A sector with its apex ``apex`` sides above the image and a half angle in radians; no angle: all is seen."""

    apex: float = 0.0
    half_angle: float | None = None

    def inwards(self, lateral: Field | float, depth: Field | float) -> Field:
        """Return the distance to the border of the view, positive inside, in sides of the image."""
        across, down = np.asarray(lateral) - 0.5, np.asarray(depth) + self.apex
        if self.half_angle is None:
            return np.ones(np.broadcast_shapes(across.shape, down.shape))
        sides = down * np.sin(self.half_angle) - np.abs(across) * np.cos(self.half_angle)
        radius = np.hypot(across, down)
        return np.asarray(np.minimum(sides, np.minimum(radius - self.apex, self.apex + 1.0 - radius)))

    def seen(self, size: int) -> Field:
        """Return 1 for the pixels inside and 0 elsewhere, [size, size]."""
        return (self.inwards(*grid(size)) > 0).astype(np.float64)


def draw_view(random: np.random.Generator, parameters: PhantomParameters) -> View:
    """Draw a rectangle or, with the probability that the parameters say, a sector."""
    if random.random() >= parameters.sector_probability:
        return View()
    apex = between(random, (0.5, 1.1))
    return View(apex, float(np.arctan2(0.5, apex + between(random, (0.35, 0.75)))))
