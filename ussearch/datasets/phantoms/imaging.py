"""From tissue to grey levels: beam, attenuation, noise, time-gain compensation, log compression."""

from __future__ import annotations

import numpy as np

from ussearch.datasets.dataset import Pixels
from ussearch.datasets.phantoms.parameters import PhantomParameters
from ussearch.datasets.phantoms.random_fields import Field, between, grid
from ussearch.datasets.phantoms.speckle import blurred, scatterers
from ussearch.datasets.phantoms.tissue import Tissue


def scan(random: np.random.Generator, tissue: Tissue, parameters: PhantomParameters, view: Field) -> Pixels:
    """Return the B-mode image, uint8 [size, size], of ``tissue`` inside the field of ``view`` (bool)."""
    size = parameters.image_size
    amplitude = 10.0 ** (tissue.level_db / 20.0)
    axial = between(random, parameters.axial_resolution) * size
    echo = blurred(scatterers(random, size) * amplitude, axial, _beam_width(random, parameters))
    depth = (np.arange(size)[:, None] + 0.5) / size
    overall_db = between(random, parameters.attenuation_db)
    path_db = np.cumsum(tissue.loss_db, axis=0) + overall_db * depth
    noise = 10.0 ** (between(random, parameters.noise_db) / 20.0) * scatterers(random, size)
    received = echo * 10.0 ** (-path_db / 20.0) + noise
    compensation_db = (overall_db + between(random, parameters.compensation_error_db)) * depth
    level_db = 20.0 * np.log10(np.abs(received) + 1e-9) + compensation_db
    grey = between(random, parameters.brightness) + level_db / between(random, parameters.dynamic_range_db)
    return np.asarray(np.floor(np.clip(grey, 0.0, 1.0) * 255.0 * view + 0.5), np.uint8)


def field_of_view(random: np.random.Generator, parameters: PhantomParameters) -> Field:
    """Return which pixels are scanned, [size, size] of 0 and 1: all of them, or the sector of a curved probe."""
    lateral, depth = grid(parameters.image_size)
    if random.random() >= parameters.sector_probability:
        return np.ones_like(lateral)
    apex = between(random, (0.5, 1.1))
    opening = np.arctan2(0.5, apex + between(random, (0.35, 0.75)))
    radius = np.hypot(lateral - 0.5, depth + apex)
    angle = np.arctan2(lateral - 0.5, depth + apex)
    near = np.hypot(0.0, apex) * 1.01
    return np.asarray((np.abs(angle) < opening) & (radius > near) & (radius < apex + 0.99), np.float64)


def _beam_width(random: np.random.Generator, parameters: PhantomParameters) -> Field:
    """Return the lateral standard deviation in pixels for each depth, narrowest at a random focus."""
    depth = (np.arange(parameters.image_size) + 0.5) / parameters.image_size
    focus = between(random, (0.2, 0.7))
    spread = 1.0 + between(random, (0.6, 1.6)) * np.abs(depth - focus)
    return np.asarray(between(random, parameters.lateral_resolution) * parameters.image_size * spread)
