"""Everything that was drawn on one image, as layers of pixels by label."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ussearch.datasets.annotations.shapes import Pixels, Shape
from ussearch.errors import UserError

NOT_DRAWN = "not drawn"
"""What the label is called that no shape covers; its code is 0."""


@dataclass(frozen=True)
class Drawing:
    """The shapes of one image.

    Attributes:
        file: that holds the annotation; ``entry`` says where in it, if it speaks of several images.
        shapes: what was drawn, in the file's order; each label is one of ``names``.
        names: all labels of the data set; the code of a label is its place, counted from 1.
        size: height and width of the image as the file tells them; None where it does not.
    """

    file: Path
    shapes: tuple[Shape, ...]
    names: tuple[str, ...]
    size: tuple[int, int] | None = None
    entry: str = ""

    def __str__(self) -> str:
        """Return how it is called in sentences."""
        return f"{self.file} ({self.entry})" if self.entry else str(self.file)

    @property
    def sha256(self) -> str:
        """SHA-256 of the shapes: what else changes in a file of many images does not matter to this one."""
        return hashlib.sha256(json.dumps([each.key() for each in self.shapes]).encode()).hexdigest()

    def layers(self, size: tuple[int, int]) -> dict[int, Pixels]:
        """Return for the code of each label that was drawn its pixels, uint8 {0, 1} of ``size``; layers may overlap.

        Raises UserError where a shape cannot lie on such an image.
        """
        found: dict[int, Pixels] = {}
        for number, shape in enumerate(self.shapes, start=1):
            code = self.names.index(shape.label) + 1
            try:
                drawn = shape.mask(size)
            except UserError as error:
                raise UserError(
                    f"Shape {number} ({shape.label}) of {self} cannot be drawn: {error}; mend it in the tool that "
                    "wrote it, and export it again."
                ) from error
            found[code] = found[code] | drawn if code in found else drawn
        return found

    def mask(self, codes: Collection[int], size: tuple[int, int]) -> Pixels:
        """Return the union of the layers of ``codes``, uint8 {0, 1} of ``size``, whatever else was drawn over them."""
        found = np.zeros(size, np.uint8)
        for code, layer in self.layers(size).items():
            if code in codes:
                found |= layer
        return found
