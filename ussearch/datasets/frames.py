"""Images and cines for inference: any file, frame by frame, in grey."""

from __future__ import annotations

from pathlib import Path

from ussearch.datasets.dataset import Pixels
from ussearch.errors import UserError
from ussearch.runtime.frames import Frame, read_raster

FRAME_LIMIT = 4000  # of one file
PIXELS_LIMIT = 1 << 30  # of all frames of one file together


def read_frames(path: Path | str) -> list[Frame]:
    """Return the frames of a PNG, JPEG, TIFF, BMP or DICOM file; a raster file counts as one frame.

    DICOM frames are cropped to the tissue region where the file tells it.

    Raises:
        UserError: missing, damaged or foreign file, or one that would not fit into memory.
    """
    from ussearch.datasets.dicom import is_dicom, open_dicom

    file = Path(path)
    if not is_dicom(file):
        return [Frame.of(read_raster(file), file)]
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


def read_image(path: Path | str) -> Pixels:
    """Return the first frame of a file as grey uint8 [H, W]; UserError as ``read_frames``."""
    return read_frames(path)[0].pixels
