"""One drawn part of a structure, and the pixels that it covers.

Outlines become pixels by COCO's convention, with COCO's own library (``pycocotools``). Coordinates are in pixels, x to
the right and y downwards, from the upper left corner of the frame's first pixel.
"""

from __future__ import annotations

import base64
import binascii
import io
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from pycocotools import mask as coco

from ussearch.errors import UserError

Pixels = npt.NDArray[np.uint8]
FEWEST_NUMBERS = 6
"""Of a polygon: three corners."""
CORNERS = 360
"""By which an ellipse is drawn: of a radius of 500 pixels they lie 0.02 pixels within it."""
OUTSIDE = 1.0
"""Images by which a corner may lie outside: tools let lines end beside a picture, not on another one."""


@dataclass(frozen=True)
class Shape(ABC):
    """A part of what ``label`` names."""

    label: str

    @abstractmethod
    def mask(self, size: tuple[int, int]) -> Pixels:
        """Return the covered pixels of a frame of ``size`` (height, width), uint8 {0, 1} [H, W].

        Raises UserError, one clause without its file, where the part cannot lie on such a frame.
        """

    @abstractmethod
    def key(self) -> list[Any]:
        """Return what the pixels depend on, as JSON has it."""


@dataclass(frozen=True)
class Polygon(Shape):
    """Closed outlines of one part, united, each ``x, y, x, y, …`` of its corners.

    With ``relative`` these are shares of the image's width and height, as in YOLO.
    """

    outlines: tuple[tuple[float, ...], ...]
    relative: bool = False

    def mask(self, size: tuple[int, int]) -> Pixels:
        """Return the pixels within the outlines."""
        sides = (float(size[1]), float(size[0])) if self.relative else (1.0, 1.0)
        scaled = [[value * sides[place % 2] for place, value in enumerate(outline)] for outline in self.outlines]
        for outline in scaled:
            _require_outline(outline, size)
        return np.asarray(coco.decode(coco.merge(coco.frPyObjects(scaled, *size))), np.uint8)

    def key(self) -> list[Any]:
        """Return the corners."""
        return ["polygon", self.label, self.outlines, self.relative]


@dataclass(frozen=True)
class Ellipse(Shape):
    """An ellipse, or a circle: centre, radii, and by how many degrees it is turned, clockwise as it is seen."""

    centre: tuple[float, float]
    radii: tuple[float, float]
    degrees: float = 0.0

    def mask(self, size: tuple[int, int]) -> Pixels:
        """Return the pixels within the line."""
        angle, turn = np.linspace(0, 2 * math.pi, CORNERS, endpoint=False), math.radians(self.degrees)
        across, along = self.radii[0] * np.cos(angle), self.radii[1] * np.sin(angle)
        x = self.centre[0] + across * math.cos(turn) - along * math.sin(turn)
        y = self.centre[1] + across * math.sin(turn) + along * math.cos(turn)
        return Polygon(self.label, (tuple(np.stack([x, y], 1).ravel().tolist()),)).mask(size)

    def key(self) -> list[Any]:
        """Return centre, radii and angle."""
        return ["ellipse", self.label, self.centre, self.radii, self.degrees]


@dataclass(frozen=True)
class RunLengths(Shape):
    """Lengths of runs, background first, column by column as in COCO; text is COCO's compressed form.

    With ``box`` (left, top, width, height) the runs go row by row through that part of the frame, as CVAT has them.
    """

    counts: str | tuple[int, ...]
    size: tuple[int, int]
    box: tuple[int, int, int, int] | None = None

    def mask(self, size: tuple[int, int]) -> Pixels:
        """Return the pixels of every second run."""
        if self.box is not None:
            return self._in_box(self.box, size)
        if self.size != size:
            raise UserError(f"its runs are of {self.size[1]} x {self.size[0]} pixels, the image's are {_told(size)}")
        counts = self.counts
        if not isinstance(counts, str):
            _require_runs(counts, size[0] * size[1])
        try:
            packed = (
                {"size": list(size), "counts": counts.encode("ascii")}
                if isinstance(counts, str)
                else coco.frPyObjects({"size": list(size), "counts": list(counts)}, *size)
            )
            covered = int(coco.area(packed))
            found: Pixels = np.asarray(coco.decode(packed), np.uint8)
        except (ValueError, TypeError, UnicodeEncodeError) as error:
            raise UserError(f"its runs cannot be read ({error})") from error
        if covered != int(found.sum()) or covered > found.size:
            raise UserError("its runs are longer than the image")
        return found

    def _in_box(self, box: tuple[int, int, int, int], size: tuple[int, int]) -> Pixels:
        left, top, width, height = box
        if min(left, top) < 0 or min(width, height) < 1 or left + width > size[1] or top + height > size[0]:
            raise UserError(f"its part of {width} x {height} pixels at {left}, {top} lies outside of {_told(size)}")
        counts = self.counts
        if isinstance(counts, str):
            raise UserError("its runs are text where numbers were expected")
        _require_runs(counts, width * height)
        values = np.repeat(np.arange(len(counts)) % 2, counts).astype(np.uint8)
        found = np.zeros(size, np.uint8)
        found[top : top + height, left : left + width] = values.reshape(height, width)
        return found

    def key(self) -> list[Any]:
        """Return the runs."""
        return ["runs", self.label, self.counts, self.size, self.box]


@dataclass(frozen=True)
class Piece(Shape):
    """A mask of a part of the frame, a PNG in Base64 with its upper left pixel at ``corner`` (x, y), as in LabelMe."""

    png: str
    corner: tuple[int, int]

    def mask(self, size: tuple[int, int]) -> Pixels:
        """Return the marked pixels."""
        try:
            with Image.open(io.BytesIO(base64.b64decode(self.png, validate=True)), formats=["PNG"]) as image:
                width, height = image.size
                left, top = self.corner
                if min(left, top) < 0 or left + width > size[1] or top + height > size[0]:
                    raise UserError(f"its mask of {width} x {height} at {left}, {top} lies outside of {_told(size)}")
                marked = np.asarray(image.convert("L")) > 0
        except (binascii.Error, OSError, ValueError, SyntaxError) as error:
            raise UserError(f"its mask is no PNG ({error})") from error
        found = np.zeros(size, np.uint8)
        found[top : top + height, left : left + width] = marked
        return found

    def key(self) -> list[Any]:
        """Return the picture and its place."""
        return ["piece", self.label, self.png, self.corner]


def _require_outline(outline: Sequence[float], size: tuple[int, int]) -> None:
    """Raise UserError where a line cannot be the outline of something on the frame."""
    if len(outline) < FEWEST_NUMBERS or len(outline) % 2:
        raise UserError(f"an outline has {len(outline)} numbers, three corners or more (x, y each) were expected")
    corners = np.asarray(outline, float).reshape(-1, 2)
    side = np.array([size[1], size[0]], float)
    if not np.isfinite(corners).all():
        raise UserError("a corner is no number")
    if (corners < -OUTSIDE * side).any() or (corners > (1 + OUTSIDE) * side).any():
        x, y = corners[np.abs(corners / side - 0.5).max(axis=1).argmax()]
        raise UserError(f"a corner at {x:g}, {y:g} lies far outside of {_told(size)}")


def _require_runs(counts: Sequence[int], pixels: int) -> None:
    if any(count < 0 for count in counts) or sum(counts) != pixels:
        raise UserError(f"its runs have {sum(counts):,} pixels in all, {pixels:,} were expected")


def _told(size: tuple[int, int]) -> str:
    return f"{size[1]} x {size[0]}"
