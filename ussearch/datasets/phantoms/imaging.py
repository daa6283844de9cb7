"""From tissue to grey levels: beam, attenuation, noise, time-gain compensation, log compression."""

from __future__ import annotations

import numpy as np

from ussearch.datasets.dataset import Pixels
from ussearch.datasets.phantoms.parameters import PhantomParameters
from ussearch.datasets.phantoms.random_fields import Field, between
from ussearch.datasets.phantoms.speckle import blurred, scatterers
from ussearch.datasets.phantoms.tissue import Tissue


def scan(random: np.random.Generator, tissue: Tissue, parameters: PhantomParameters, seen: Field) -> Pixels:
    """Return the B-mode image, uint8 [size, size], of ``tissue`` where ``seen`` is 1."""
    size = parameters.image_size
    amplitude = 10.0 ** (tissue.level_db / 20.0)
    depth = (np.arange(size)[:, None] + 0.5) / size
    overall_db = between(random, parameters.attenuation_db)
    path_db = np.cumsum(tissue.loss_db, axis=0) + overall_db * depth
    noise = 10.0 ** (between(random, parameters.noise_db) / 20.0)
    axial = between(random, parameters.axial_resolution) * size
    lateral = _beam_width(random, parameters)
    looks = int(random.integers(parameters.looks[0], parameters.looks[1] + 1))
    envelope = np.zeros((size, size))
    for _ in range(looks):  # compounding: envelopes of independent looks are averaged
        echo = blurred(scatterers(random, size) * amplitude, axial, lateral)
        envelope += np.abs(echo * 10.0 ** (-path_db / 20.0) + noise * scatterers(random, size)) / looks
    compensation_db = (overall_db + between(random, parameters.compensation_error_db)) * depth
    level_db = 20.0 * np.log10(envelope + 1e-9) + compensation_db
    grey = between(random, parameters.brightness) + level_db / between(random, parameters.dynamic_range_db)
    return np.asarray(np.floor(np.clip(grey, 0.0, 1.0) * 255.0 * seen + 0.5), np.uint8)


def _beam_width(random: np.random.Generator, parameters: PhantomParameters) -> Field:
    """Return the lateral standard deviation in pixels for each depth, narrowest at a random focus."""
    depth = (np.arange(parameters.image_size) + 0.5) / parameters.image_size
    focus = between(random, (0.2, 0.7))
    spread = 1.0 + between(random, (0.6, 1.6)) * np.abs(depth - focus)
    return np.asarray(between(random, parameters.lateral_resolution) * parameters.image_size * spread)
