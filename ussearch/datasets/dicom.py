"""Ultrasound DICOM files: frames as grey pixels, and the region that shows tissue."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ussearch.datasets.dataset import Pixels
from ussearch.errors import UserError
from ussearch.runtime.frames import refuse_bombs

if TYPE_CHECKING:
    from pydicom import Dataset as DicomDataset

DICOM_SUFFIXES = frozenset({".dcm", ".dicom"})
Box = tuple[int, int, int, int]  # left, top, right, bottom in pixels; right and bottom excluded
_TISSUE = 1  # Region Data Type (0018,6014)
_TWO_DIMENSIONAL = 1  # Region Spatial Format (0018,6012)
_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601, as in YBR_FULL


def is_dicom(path: Path) -> bool:
    """Tell whether ``path`` is a DICOM file, by its suffix or by the mark after its preamble."""
    if not path.is_file():
        return False
    if path.suffix.lower() in DICOM_SUFFIXES:
        return True
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"


@dataclass(frozen=True)
class DicomImage:
    """What the header says: size in pixels, number of frames, the box of the tissue region, and all attributes."""

    path: Path
    rows: int
    columns: int
    frames: int
    box: Box
    header: DicomDataset

    @property
    def text_excluded(self) -> bool:
        """Whether the file says that no text is burned into the pixels: Burned In Annotation (0028,0301) is NO."""
        return str(self.header.get("BurnedInAnnotation", "")).strip().upper() == "NO"

    def pixels(self) -> Iterator[Pixels]:
        """Yield the whole frames, decoded one at a time, as grey uint8 [rows, columns].

        MONOCHROME1 is inverted, palettes are looked up, RGB and YBR become luma. Grey levels deeper than
        8 bits go through the file's window and are scaled from the darkest to the brightest.

        Raises:
            UserError: pixels that are missing, damaged or compressed in a way that cannot be decoded here.
        """
        from pydicom.pixels.utils import iter_pixels

        with _explained(self.path):
            frames = iter_pixels(self.path)
        while True:
            with _explained(self.path):
                frame = next(frames, None)
                grey = None if frame is None else _grey(np.array(frame), self.header)
            if grey is None:
                return
            yield grey


def open_dicom(path: Path) -> DicomImage:
    """Read the header of a DICOM image; UserError where it is damaged, too large or shows no image."""
    import pydicom

    with _explained(path):
        header = pydicom.dcmread(path, stop_before_pixels=True)
        if "Rows" in header and "Columns" in header and "PhotometricInterpretation" in header:
            rows, columns = int(header.Rows), int(header.Columns)
            frames = int(header.get("NumberOfFrames") or 1)
            refuse_bombs(path, columns, rows)
            return DicomImage(path, rows, columns, frames, _tissue_box(header, rows, columns), header)
    raise UserError(f"{path} is a DICOM object without an image: give an ultrasound image or cine.")


def read_dicom_frame(path: Path, frame: int = 0) -> Pixels:
    """Return one whole frame as grey uint8 [rows, columns]; UserError where there is no such frame."""
    pixels = next(islice(open_dicom(path).pixels(), frame, None), None)
    if pixels is None:
        raise UserError(f"{path} has no frame {frame}: name a frame that it has.")
    return pixels


def patients_in(files: Iterable[Path]) -> dict[Path, str | None]:
    """Return for each DICOM file a digest of its Patient ID (0010,0020), which itself is never kept.

    None where the file has none or cannot be read. One that all files share tells nothing: anonymisers write such.
    """
    found = {path: _patient_digest(path) for path in files}
    return found if len(set(found.values())) > 1 else dict.fromkeys(found)


def _patient_digest(path: Path) -> str | None:
    import pydicom

    try:
        with _explained(path):
            header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["PatientID"])
            identity = str(header.get("PatientID") or "").strip()
    except UserError:
        return None  # told with its reason when the image is decoded
    return hashlib.sha256(identity.encode()).hexdigest()[:16] if identity else None


def _tissue_box(header: DicomDataset, rows: int, columns: int) -> Box:
    """Return the largest two-dimensional tissue region of SequenceOfUltrasoundRegions (0018,6011), clipped.

    Where none is told, the whole frame is returned.
    """
    boxes = []
    for region in header.get("SequenceOfUltrasoundRegions") or ():
        is_tissue = region.get("RegionDataType") == _TISSUE and region.get("RegionSpatialFormat") == _TWO_DIMENSIONAL
        corners = [region.get(f"RegionLocation{name}") for name in ("MinX0", "MinY0", "MaxX1", "MaxY1")]
        if is_tissue and None not in corners:
            left, top, right, bottom = (int(corner) for corner in corners)
            boxes.append((max(left, 0), max(top, 0), min(right + 1, columns), min(bottom + 1, rows)))
    usable = [box for box in boxes if box[2] > box[0] and box[3] > box[1]]
    return max(usable, key=lambda box: (box[2] - box[0]) * (box[3] - box[1]), default=(0, 0, columns, rows))


def _grey(pixels: npt.NDArray[np.generic], header: DicomDataset) -> Pixels:
    from pydicom.pixels import processing

    interpretation = str(header.PhotometricInterpretation)
    if interpretation == "PALETTE COLOR":
        colours = processing.apply_color_lut(pixels, header)
        return _luma(colours, 255 if int(colours.max(initial=0)) <= 255 else 65535)
    if pixels.ndim == 3:  # pydicom has made RGB of YBR
        return _luma(pixels, 2 ** int(header.BitsStored) - 1)
    if pixels.dtype == np.uint8 and "WindowWidth" not in header and "ModalityLUTSequence" not in header:
        grey = pixels.astype(np.uint8)
    else:
        values = processing.apply_voi_lut(processing.apply_modality_lut(pixels, header), header).astype(np.float64)
        low, high = float(values.min()), float(values.max())
        grey = np.floor((values - low) * (255.0 / max(high - low, 1e-12)) + 0.5).astype(np.uint8)
    return np.bitwise_not(grey) if interpretation == "MONOCHROME1" else grey


def _luma(colours: npt.NDArray[np.generic], full_scale: int) -> Pixels:
    levels: npt.NDArray[np.float64] = colours[..., :3].astype(np.float64) @ _LUMA * (255.0 / full_scale)
    return np.floor(np.clip(levels, 0, 255) + 0.5).astype(np.uint8)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn whatever pydicom raises on a foreign or damaged file into one sentence."""
    from pydicom.errors import InvalidDicomError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except InvalidDicomError as error:
        raise UserError(f"{path} is not a DICOM file: give one, or an image with its usual suffix.") from error
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist: expected a DICOM file; restore it or correct the path.") from error
    except UserError:
        raise
    except Exception as error:  # NOTE: damaged files make pydicom raise anything from struct.error to TypeError
        reason = " ".join(str(error).split())[:160]
        raise UserError(
            f"{path} cannot be decoded ({reason}): give an intact, uncompressed or JPEG-compressed copy."
        ) from error
