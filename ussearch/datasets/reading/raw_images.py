"""The image file of a sample, opened for training: raw values, what kind of file it is, and where tissue is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from ussearch.datasets.dataset import Sample
from ussearch.errors import UserError
from ussearch.runtime.grey_scale import RawFrame
from ussearch.runtime.raster_files import ORIENTATION, RASTER_SUFFIXES, UPRIGHT, opened_image, pages_of, raw_of

if TYPE_CHECKING:
    from ussearch.datasets.dicom import DicomImage
    from ussearch.runtime.frames import Box

_KINDS = {"1": "1-bit", "L": "8-bit grey", "LA": "8-bit grey", "P": "palette", "PA": "palette", "F": "float"}


@dataclass(frozen=True)
class ImageFile:
    """One frame with what its file tells about it.

    Attributes:
        raw: the values of the whole frame.
        kind: of the file in words, such as ``8-bit grey``, ``colour`` or ``DICOM, 8-bit grey``.
        turned: whether it was held otherwise than it is shown (EXIF), and was turned.
        with_alpha: whether it has an alpha channel, which is ignored.
        dicom: the header's tissue regions; None for other files.
    """

    raw: RawFrame
    kind: str
    turned: bool = False
    with_alpha: bool = False
    dicom: DicomImage | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the whole frame in pixels."""
        height, width = self.raw.values.shape
        return height, width

    @property
    def regions(self) -> tuple[Box, ...]:
        """The tissue regions that a DICOM file tells."""
        return self.dicom.regions if self.dicom else ()

    def box(self, region: str) -> Box:
        """Return what is used of the frame; UserError where a DICOM file has no such region."""
        height, width = self.size
        return self.dicom.box_by(region) if self.dicom else (0, 0, width, height)


def is_dicom_sample(path: Path) -> bool:
    """Tell whether an image is read as DICOM: readers list no other files but rasters, which their suffix tells."""
    return path.suffix.lower() not in RASTER_SUFFIXES


def open_image_file(sample: Sample) -> ImageFile:
    """Open the image of a sample.

    Raises:
        UserError: a file that is missing, damaged or too large, or that holds several frames beside masks for one.
    """
    return _dicom(sample) if is_dicom_sample(sample.image) else _raster(sample.image)


def _raster(path: Path) -> ImageFile:
    _refuse_frames(path, pages_of(path))
    with opened_image(path) as image:
        raw, mode = raw_of(image), image.mode
    with Image.open(path) as image:  # the header alone
        held = image.getexif() if image.format != "PNG" or "exif" in image.info else {}
        turned = held.get(ORIENTATION, UPRIGHT) != UPRIGHT
    kind = _KINDS.get(mode) or (f"{raw.stored_bits}-bit grey" if mode.startswith("I") else "colour")
    return ImageFile(raw, kind, turned, with_alpha=mode in {"LA", "PA", "RGBA", "La", "RGBa"})


def _dicom(sample: Sample) -> ImageFile:
    from ussearch.datasets.dicom import open_dicom, read_raw_dicom

    image = open_dicom(sample.image)
    _refuse_frames(sample.image, image.frames)
    raw = read_raw_dicom(sample.image, sample.frame)
    colour = str(image.header.PhotometricInterpretation) not in {"MONOCHROME1", "MONOCHROME2"}
    return ImageFile(raw, "DICOM, colour" if colour else f"DICOM, {raw.stored_bits}-bit grey", dicom=image)


def _refuse_frames(path: Path, frames: int) -> None:
    if frames > 1:
        raise UserError(
            f"{path} holds {frames} frames beside masks for one: expected a single-frame file; export the frame that "
            "the masks were drawn on."
        )
