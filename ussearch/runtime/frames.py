"""Grey frames: what any image, from a file or from memory, becomes before a network sees it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from ussearch.errors import UserError
from ussearch.runtime.grey_scale import BLACK, WHITE, GreyScale, Pixels, RawFrame
from ussearch.runtime.raster_files import (
    RASTER_SUFFIXES,
    is_raster,
    opened_image,
    pages_of,
    raw_of,
    raw_pages,
    raw_raster,
    refuse_bombs,
    to_grey,
)

__all__ = [
    "RASTER_SUFFIXES",
    "AnyImage",
    "Box",
    "Frame",
    "as_frame",
    "is_raster",
    "opened_image",
    "pages_of",
    "raw_of",
    "raw_pages",
    "raw_raster",
    "refuse_bombs",
    "to_grey",
]

Box = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels; right and bottom excluded."""
NO_FILE = Path("array")
"""Source of a frame that came from no file."""


@dataclass(frozen=True)
class Frame:
    """One grey frame, uint8 [H, W], already cropped.

    ``box`` (left, top, right, bottom; right and bottom excluded) says where it lies in the full frame of
    ``full_size`` (height, width), so that a mask can be put back. ``text_excluded`` is false where a DICOM file does
    not say that no text is burned into its pixels (a name, a date of birth). ``clipped`` counts values that lay beyond
    the grey scale. ``spacing_mm`` are height and width of a pixel, None where the file does not tell.
    """

    pixels: Pixels
    source: Path
    frame: int
    box: Box
    full_size: tuple[int, int]
    text_excluded: bool = True
    clipped: int = 0
    spacing_mm: tuple[float, float] | None = None

    @classmethod
    def of(cls, pixels: npt.NDArray[np.generic], source: Path = NO_FILE, grey_scale: GreyScale | None = None) -> Frame:
        """Return an image in memory, or the whole of a file's, as a frame; UserError as ``raw_array`` and ``read``."""
        is_scaled = grey_scale is not None and not grey_scale.is_plain
        return cls.read(raw_array(pixels, scaled=is_scaled), grey_scale, source)

    @classmethod
    def read(
        cls,
        raw: RawFrame,
        grey_scale: GreyScale | None,
        source: Path,
        *,
        frame: int = 0,
        box: Box | None = None,
        text_excluded: bool = True,
        spacing_mm: tuple[float, float] | None = None,
    ) -> Frame:
        """Return what ``box`` of a frame shows (all of it without one), as ``grey_scale`` says.

        Without one, deep values are scaled as bundles of before were trained. Raises UserError where the values are
        deeper than the 8 bits that a plain scale speaks of.
        """
        height, width = raw.values.shape
        left, top, right, bottom = place = box or (0, 0, width, height)
        part = raw.cropped(left, top, right, bottom)
        if grey_scale is None:
            pixels, clipped = to_grey(part.values), 0
        else:
            _refuse_depth(part, grey_scale, source)
            pixels, clipped = grey_scale.levels(part), grey_scale.clipped(part)
        return cls(pixels, source, frame, place, (height, width), text_excluded, clipped, spacing_mm)

    def whole(self, mask: Pixels) -> Pixels:
        """Put the mask of the cropped frame back into the frame's full size."""
        left, top, right, bottom = self.box
        full = np.zeros(self.full_size, np.uint8)
        full[top:bottom, left:right] = mask
        return full

    def cropped(self, mask: Pixels) -> Pixels:
        """Return the part of a mask of the full size that the networks saw."""
        left, top, right, bottom = self.box
        return mask[top:bottom, left:right]


AnyImage = Frame | npt.NDArray[np.generic]
"""A frame, or an array as ``raw_array`` takes it."""


def as_frame(image: AnyImage, grey_scale: GreyScale | None = None) -> Frame:
    """Return an image as a frame; UserError as ``Frame.of``."""
    return image if isinstance(image, Frame) else Frame.of(image, grey_scale=grey_scale)


def raw_array(pixels: npt.NDArray[np.generic], scaled: bool = True) -> RawFrame:
    """Return an image in memory as ``raw_raster`` would return its file.

    ``pixels`` are integers or floats [H, W], or uint8 [H, W, 3] in RGB; where no grey scale is going to be applied
    (``scaled``), uint8 or uint16 [H, W] only. Raises UserError for any other array.
    """
    if pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3 and pixels.size > 0:
        return raw_of(Image.fromarray(pixels))
    usable = pixels.dtype.kind in "iuf" if scaled else pixels.dtype in (np.uint8, np.uint16)
    if not usable or pixels.ndim != 2 or pixels.size == 0:
        depths = "integers or floats" if scaled else "uint8 or uint16"
        raise UserError(
            f"An array {pixels.dtype} of shape {pixels.shape} is no image: expected grey levels, {depths} [H, W], or "
            "RGB uint8 [H, W, 3]; scale and convert it first."
        )
    if pixels.dtype.kind == "f":
        return RawFrame(pixels, 0, None)
    limits = np.iinfo(pixels.dtype.name)
    return RawFrame(pixels, limits.bits, (float(limits.min), float(limits.max)))


def _refuse_depth(raw: RawFrame, grey_scale: GreyScale, source: Path) -> None:
    """Raise UserError where nothing is known of which of the deep values are black and white."""
    if not grey_scale.is_plain or not grey_scale.applies_to(raw):
        return
    least, most = float(np.min(raw.values)), float(np.max(raw.values))
    if raw.span is None or least < BLACK or most > WHITE:
        named = "The array" if source == NO_FILE else str(source)
        depth = f"{raw.stored_bits}-bit values" if raw.span is not None else "floats"
        raise UserError(
            f"{named} holds {depth} from {least:g} to {most:g} but the networks learnt from 8-bit images: convert it "
            "to 8 bits in the way that the training images were."
        )
