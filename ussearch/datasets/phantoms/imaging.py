"""From tissue to grey levels: field of view, beam, speckle, attenuation, gain, log compression."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ussearch.datasets.dataset import Pixels
from ussearch.datasets.phantoms.parameters import PhantomParameters
from ussearch.datasets.phantoms.random_fields import Field, between, grid
from ussearch.datasets.phantoms.tissue import Tissue


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


Echo = npt.NDArray[np.complex128]


def scatterers(random: np.random.Generator, size: int) -> Echo:
    """Return complex Gaussian white noise [size, size] of unit mean power."""
    real, imaginary = random.standard_normal((2, size, size))
    return np.asarray((real + 1j * imaginary) * np.sqrt(0.5))


def blurred(echo: Echo, axial: float, lateral: Field) -> Echo:
    """Convolve with a point-spread function, wider across than along the beam, that keeps the mean power.

    Its transfer function is Gaussian and zero above three quarters of the Nyquist frequency (band-limited).

    Args:
        echo: complex [H, W], depth first.
        axial: standard deviation along depth in pixels.
        lateral: the same across, one for each depth, [H]: beams widen away from their focus.
    """
    along = _transfer(echo.shape[0], np.array([axial]))[0]
    across = _transfer(echo.shape[1], lateral)
    axially = np.fft.ifft(np.fft.fft(echo, axis=0) * along[:, None], axis=0)
    return np.asarray(np.fft.ifft(np.fft.fft(axially, axis=1) * across, axis=1))


def _transfer(count: int, deviations: Field) -> Field:
    """Return transfer functions [len(deviations), count] of unit energy."""
    frequency = np.fft.fftfreq(count)
    gaussian = np.exp(-2.0 * (np.pi * frequency[None, :] * deviations[:, None]) ** 2)
    gaussian *= np.abs(frequency) <= 0.375
    return np.asarray(gaussian / np.sqrt((gaussian**2).mean(axis=1, keepdims=True)))


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
