"""Images inside a page: grey pixels as data, outlines as paths."""

from __future__ import annotations

import base64
import io

import numpy as np
import numpy.typing as npt
from contourpy import contour_generator
from PIL import Image

QUALITY = 70


def picture(pixels: npt.NDArray[np.uint8]) -> str:
    """Return a grey image [H, W] as a data URI."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "WEBP", quality=QUALITY, method=6)
    return "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode("ascii")


def contour(values: npt.NDArray[np.float64], level: float) -> str:
    """Return the outline of ``values`` [H, W] at ``level`` as an SVG path; pixel centres lie at halves."""
    padded = np.pad(values, 1)  # closes outlines that touch the border
    lines = contour_generator(z=padded).lines(level)
    return "".join(_path(np.asarray(line) - 0.5) for line in lines)


def _path(points: npt.NDArray[np.float64]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points) + "Z"
