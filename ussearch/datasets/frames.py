"""Images and cines for inference: any file, frame by frame, in grey."""

from __future__ import annotations

from pathlib import Path

from ussearch.datasets.dataset import Pixels
from ussearch.errors import UserError
from ussearch.runtime.frames import Frame, pages_of, raw_pages
from ussearch.runtime.grey_scale import GreyScale, RawFrame

FRAME_LIMIT = 4000  # of one file
PIXELS_LIMIT = 1 << 30  # of all frames of one file together


def read_frames(path: Path | str, grey_scale: GreyScale | None = None, region: str = "largest") -> list[Frame]:
    """Return all frames of a PNG, JPEG, TIFF, BMP, GIF, PGM or DICOM file, every page of a TIFF among them.

    ``grey_scale`` is that of the data set that the networks learnt from; None scales deep files as bundles of before
    were trained, each by itself. Of DICOM frames, the tissue region that ``region`` names is returned (``largest``,
    ``whole`` or a number from 1) where the file tells of any.

    Raises:
        UserError: missing, damaged or foreign file, one that would not fit into memory, one that is deeper than the
            8 bits of a plain grey scale, or that has no such region.
    """
    from ussearch.datasets.dicom import is_dicom

    file = Path(path)
    frames = _dicom_frames(file, grey_scale, region) if is_dicom(file) else _raster_frames(file, grey_scale)
    if not frames:
        raise UserError(f"{file} holds no frame: give an intact copy.")
    return frames


def _raster_frames(file: Path, grey_scale: GreyScale | None) -> list[Frame]:
    count, pixels, frames = pages_of(file), 0, []
    for number, raw in enumerate(raw_pages(file)):
        pixels += raw.values.size
        if count > FRAME_LIMIT or pixels > PIXELS_LIMIT:
            height, width = raw.values.shape
            raise _too_many(file, count, width, height)
        frames.append(Frame.read(raw, grey_scale, file, frame=number))
    return frames


def _dicom_frames(file: Path, grey_scale: GreyScale | None, region: str) -> list[Frame]:
    from ussearch.datasets.dicom import open_dicom

    image = open_dicom(file)
    if image.frames > FRAME_LIMIT or image.frames * image.rows * image.columns > PIXELS_LIMIT:
        raise _too_many(file, image.frames, image.columns, image.rows)
    raws = map(RawFrame, image.pixels()) if grey_scale is None else image.raw_frames()
    box, shown, spacing_mm = image.box_by(region), image.text_excluded, image.spacing_mm(region)
    return [
        Frame.read(raw, grey_scale, file, frame=number, box=box, text_excluded=shown, spacing_mm=spacing_mm)
        for number, raw in enumerate(raws)
    ]


def _too_many(file: Path, count: int, width: int, height: int) -> UserError:
    return UserError(
        f"{file} holds {count} frames of {width} x {height}, more than fit into memory: cut the cine into pieces."
    )


def read_image(path: Path | str, grey_scale: GreyScale | None = None, region: str = "largest") -> Pixels:
    """Return the first frame of a file as grey uint8 [H, W]; UserError as ``read_frames``."""
    return read_frames(path, grey_scale, region)[0].pixels
