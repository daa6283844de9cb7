"""Images inside a page: grey pixels as data, outlines as paths, small pictures of a data set's files."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
from contourpy import contour_generator
from PIL import Image

from ussearch.datasets import Dataset, Sample, read_image, resize_mask
from ussearch.datasets.dataset import Pixels
from ussearch.errors import UserError
from ussearch.report.markup import text

QUALITY = 70


def picture(pixels: npt.NDArray[np.uint8]) -> str:
    """Return a grey image [H, W] as a data URI."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "WEBP", quality=QUALITY, method=6)
    return "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode("ascii")


def svg_outline(values: npt.NDArray[np.float64], level: float) -> str:
    """Return the outline of ``values`` [H, W] at ``level`` as an SVG path; pixel centres lie at halves."""
    padded = np.pad(values, 1)  # closes outlines that touch the border
    lines = contour_generator(z=padded).lines(level)
    return "".join(_path(np.asarray(line) - 0.5) for line in lines)


def _path(points: npt.NDArray[np.float64]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points) + "Z"


LONGEST = 200
"""Pixels of a thumbnail's longer side."""


class Gallery:
    """Makes figures of the files of one data set, named by their paths in it."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self._samples = {sample.id: sample for sample in dataset.samples}

    def of_sample(self, identity: str) -> str:
        """Return the image with the outline of its masks; without one where image and masks do not fit."""
        sample = self._samples[identity]
        try:
            image, mask = self._dataset.source.decode(sample)
        except UserError:
            return self._alone(sample.image)
        return _figure(identity, image, mask)

    def of_file(self, file: str) -> str:
        """Return figures for the file of a problem: of a sample its image and each mask, else of the file itself.

        Nothing where it is no file of the data set.
        """
        sample = self._samples.get(file)
        if sample is not None:
            return "".join(self._alone(path) for path in _files(sample))
        path = self._dataset.root / file
        return self._alone(path) if path.is_file() else ""

    def _alone(self, path: Path) -> str:
        """Return one file as it is."""
        name = path.relative_to(self._dataset.root).as_posix()
        try:
            pixels = read_image(path)
        except UserError:
            return f'<figure><div class="unreadable">cannot be read</div>{_caption(name, "")}</figure>'
        return _figure(name, _visible(pixels), None)


def _files(sample: Sample) -> tuple[Path, ...]:
    return (sample.image, *(mask for mask in sample.masks if isinstance(mask, Path)))


def _visible(pixels: Pixels) -> Pixels:
    """Return a mask of levels 0 and 1 in black and white, anything else as it is."""
    return pixels * np.uint8(255) if pixels.max(initial=0) == 1 else pixels


def _figure(name: str, image: Pixels, mask: Pixels | None) -> str:
    height, width = image.shape
    scale = min(1.0, LONGEST / max(height, width))
    small = (max(1, round(width * scale)), max(1, round(height * scale)))
    pixels = np.asarray(Image.fromarray(image).resize(small, Image.Resampling.BOX))
    outline = ""
    if mask is not None and mask.any():
        shape = resize_mask(mask, small[1], small[0])
        outline = f'<path class="truth" d="{svg_outline(shape.astype(np.float64), 0.5)}"/>'
    return (
        f'<figure><svg class="overlay" viewBox="0 0 {small[0]} {small[1]}" role="img" aria-label="{text(name)}">'
        f'<image href="{picture(pixels)}" width="{small[0]}" height="{small[1]}"/>{outline}</svg>'
        f"{_caption(name, f'{width} x {height}')}</figure>"
    )


def _caption(name: str, size: str) -> str:
    return f"<figcaption>{text(name)}<br><small>{text(size)}</small></figcaption>"
