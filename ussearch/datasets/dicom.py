"""Ultrasound DICOM files: their headers, frames, and the regions that show tissue."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from ussearch.datasets.dataset import Pixels
from ussearch.datasets.dicom_pixels import grey_of_its_own, raw_frame
from ussearch.datasets.dicom_regions import Spacing, pixel_spacing, tissue_regions
from ussearch.errors import UserError
from ussearch.runtime.frames import Box, refuse_bombs
from ussearch.runtime.grey_scale import RawFrame

if TYPE_CHECKING:
    from pydicom import Dataset as DicomDataset

Made = TypeVar("Made")
DICOM_SUFFIXES = frozenset({".dcm", ".dicom"})


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
    """What the header says: size in pixels, number of frames, the tissue regions in its order, and all attributes.

    ``spacings`` has for each region the size of its pixels, None where the file does not tell.
    """

    path: Path
    rows: int
    columns: int
    frames: int
    regions: tuple[Box, ...]
    header: DicomDataset
    spacings: tuple[Spacing | None, ...] = ()

    def spacing_mm(self, rule: str) -> Spacing | None:
        """Return height and width of a pixel of what ``rule`` means, as ``box_by`` takes it; None where nothing tells.

        A region tells its own, the whole frame by Pixel Spacing (0028,0030) or where all regions agree.
        """
        if rule != "whole" and self.regions:
            found = self.spacings[self.regions.index(self.box_by(rule))]
        else:
            found = self.spacings[0] if len(set(self.spacings)) == 1 else None
        return found or pixel_spacing(self.header)

    @property
    def text_excluded(self) -> bool:
        """Whether the file says that no text is burned into the pixels: Burned In Annotation (0028,0301) is NO."""
        return str(self.header.get("BurnedInAnnotation", "")).strip().upper() == "NO"

    @property
    def box(self) -> Box:
        """The largest tissue region; the whole frame where none is told."""
        return self.box_by("largest")

    def box_by(self, rule: str) -> Box:
        """Return the region that ``rule`` means: ``largest``, ``whole``, or a number in the file's order, from 1.

        A file that tells of no region shows tissue everywhere. Raises UserError where it has no region of the number.
        """
        if rule == "whole" or not self.regions:
            return (0, 0, self.columns, self.rows)
        if rule == "largest":
            return max(self.regions, key=_area)
        if not rule.isdecimal() or not 1 <= int(rule) <= len(self.regions):
            raise UserError(
                f"{self.path} has no ultrasound region {rule}: it tells of {len(self.regions)}; choose largest, whole "
                f"or a number from 1 to {len(self.regions)}."
            )
        return self.regions[int(rule) - 1]

    def raw_frames(self) -> Iterator[RawFrame]:
        """Yield the whole frames, decoded one at a time: values after the modality LUT, colour as luma.

        Raises:
            UserError: pixels that are missing, damaged or compressed in a way that cannot be decoded here.
        """
        yield from self._decoded(raw_frame)

    def pixels(self) -> Iterator[Pixels]:
        """Yield the whole frames as bundles and studies of before grey scales saw them; UserError as ``raw_frames``."""
        yield from self._decoded(grey_of_its_own)

    def _decoded(self, made: Callable[[Any, DicomDataset], Made]) -> Iterator[Made]:
        """Yield what is made of each frame."""
        from pydicom.pixels.utils import iter_pixels

        with _explained(self.path):
            _require_decoder(self.path, self.header)
            frames = iter_pixels(self.path)
        while True:
            with _explained(self.path):
                frame = next(frames, None)
                found = None if frame is None else made(np.array(frame), self.header)
            if found is None:
                return
            yield found


def open_dicom(path: Path) -> DicomImage:
    """Read the header of a DICOM image; UserError where it is damaged, too large or shows no image."""
    import pydicom

    with _explained(path):
        header = pydicom.dcmread(path, stop_before_pixels=True)
        if "Rows" in header and "Columns" in header and "PhotometricInterpretation" in header:
            rows, columns = int(header.Rows), int(header.Columns)
            frames = int(header.get("NumberOfFrames") or 1)
            refuse_bombs(path, columns, rows)
            regions = tissue_regions(header, rows, columns)
            return DicomImage(path, rows, columns, frames, tuple(regions), header, tuple(regions.values()))
    raise UserError(f"{path} is a DICOM object without an image: give an ultrasound image or cine.")


def read_raw_dicom(path: Path, frame: int = 0) -> RawFrame:
    """Return one whole frame as ``DicomImage.raw_frames`` does; UserError where there is no such frame."""
    return _only(open_dicom(path).raw_frames(), path, frame)


def read_dicom_frame(path: Path, frame: int = 0) -> Pixels:
    """Return one whole frame as ``DicomImage.pixels`` does; UserError where there is no such frame."""
    return _only(open_dicom(path).pixels(), path, frame)


def _only(frames: Iterator[Made], path: Path, frame: int) -> Made:
    found = next(islice(frames, frame, None), None)
    if found is None:
        raise UserError(f"{path} has no frame {frame}: name a frame that it has.")
    return found


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


def _area(box: Box) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])


def _require_decoder(path: Path, header: DicomDataset) -> None:
    """Raise UserError where the pixels are compressed in a way that nothing installed can undo."""
    from pydicom.pixels.decoders.base import get_decoder

    syntax = header.file_meta.TransferSyntaxUID
    if syntax.is_private or not syntax.is_compressed:
        return
    try:
        missing = not get_decoder(syntax).is_available
    except NotImplementedError as error:
        raise UserError(
            f"{path} is compressed as {syntax.name}, which cannot be decoded here: give an uncompressed copy."
        ) from error
    if missing and syntax.name.startswith("High-Throughput"):  # the extra has no decoder for these
        raise UserError(
            f"{path} is compressed as {syntax.name}, which needs a decoder: give an uncompressed copy, or install "
            "pylibjpeg with pylibjpeg-openjpeg."
        )
    if missing:
        raise UserError(f'{path} is compressed as {syntax.name}, which needs a decoder: pip install "ussearch[dicom]".')


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
