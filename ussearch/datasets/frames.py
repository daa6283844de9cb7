"""Images and cines for inference: any file, frame by frame, in grey."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ussearch.datasets.dataset import Pixels
from ussearch.datasets.decoding import grey_of, read_raster
from ussearch.errors import UserError

FRAME_LIMIT = 4000  # of one file
PIXELS_LIMIT = 1 << 30  # of all frames of one file together
NO_FILE = "array"
"""Source of a frame that came from no file."""


@dataclass(frozen=True)
class Frame:
    """One grey frame, uint8 [H, W], already cropped.

    ``box`` (left, top, right, bottom; right and bottom excluded) says where it lies in the full frame of
    ``full_size`` (height, width), so that a mask can be put back. ``text_excluded`` is false where a DICOM file does
    not say that no text is burned into its pixels (a name, a date of birth).
    """

    pixels: Pixels
    source: Path
    frame: int
    box: tuple[int, int, int, int]
    full_size: tuple[int, int]
    text_excluded: bool = True


def read_frames(path: Path | str) -> list[Frame]:
    """Return the frames of a PNG, JPEG, TIFF, BMP or DICOM file; a raster file counts as one frame.

    DICOM frames are cropped to the tissue region where the file tells it.

    Raises:
        UserError: missing, damaged or foreign file, or one that would not fit into memory.
    """
    from ussearch.datasets.dicom import is_dicom, open_dicom

    file = Path(path)
    if not is_dicom(file):
        return [_uncropped(read_raster(file), file)]
    image = open_dicom(file)
    size = (image.rows, image.columns)
    if image.frames > FRAME_LIMIT or image.frames * image.rows * image.columns > PIXELS_LIMIT:
        raise UserError(
            f"{file} holds {image.frames} frames of {image.columns} x {image.rows}, more than fit into memory: "
            "cut the cine into pieces."
        )
    left, top, right, bottom = image.box
    frames = [
        Frame(pixels[top:bottom, left:right].copy(), file, number, image.box, size, image.text_excluded)
        for number, pixels in enumerate(image.pixels())
    ]
    if not frames:
        raise UserError(f"{file} holds no frame: give an intact copy.")
    return frames


def frame_of(pixels: npt.NDArray[np.generic]) -> Frame:
    """Return an image in memory as a frame without a file; UserError as ``decoding.grey_of``."""
    return _uncropped(grey_of(pixels), Path(NO_FILE))


def _uncropped(grey: Pixels, source: Path) -> Frame:
    height, width = grey.shape
    return Frame(grey, source, 0, (0, 0, width, height), (height, width))


def read_image(path: Path | str) -> Pixels:
    """Return the first frame of a file as grey uint8 [H, W]; UserError as ``read_frames``."""
    return read_frames(path)[0].pixels
