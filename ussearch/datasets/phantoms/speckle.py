"""Fully developed speckle: many scatterers in every resolution cell.

The echo of a cell is the sum of many independent phasors, so its complex amplitude is Gaussian and its
envelope Rayleigh distributed: mean / standard deviation = sqrt(pi / (4 - pi)) = 1.913 (Wagner et al. 1983,
IEEE Trans. Sonics Ultrason. 30(3)).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ussearch.datasets.phantoms.random_fields import Field

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
