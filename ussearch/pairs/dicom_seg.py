"""Masks as DICOM Segmentation objects beside their PNG files, by highdicom (extra ``seg``).

One file a frame: ultrasound has no frame of reference in space, and without one a segmentation holds a single frame.
The objects name the patient as their sources do; they stay on this machine.
"""

from __future__ import annotations

import copy
import importlib
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

import ussearch
from ussearch.errors import UserError
from ussearch.files import sha256_of

if TYPE_CHECKING:
    from pydicom import Dataset

SERIES_NUMBER = 100
SINGLE_FRAME_CLASS = "1.2.840.10008.5.1.4.1.1.6.1"  # Ultrasound Image Storage
NO_KNOWN_CLASS = "1.2.840.10008.5.1.4.1.1.7"  # Secondary Capture: says nothing of what made the image
PLACE = ("PixelSpacing", "ImageOrientationPatient", "ImagePositionPatient")
OTHER_MODALITY = "OT"
MAY_BE_EMPTY = (  # of patient and study; the standard wants them present (type 2)
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID"),
    *("AccessionNumber", "ReferringPhysicianName"),
)


def require_highdicom() -> Any:
    """Return the package highdicom; raises UserError where the extra is missing."""
    try:
        return importlib.import_module("highdicom")
    except ImportError as error:
        raise UserError(f"--dicom-seg needs {error.name}: install the extra, pip install 'ussearch[seg]'.") from error


def dicom_seg(source: Path, frame: int, mask: npt.NDArray[np.uint8]) -> bytes:
    """Return the segmentation of frame number ``frame`` (from 0) of ``source``, mask uint8 {0, 1} [rows, columns].

    Where the source does not name its patient, study, series or itself, the segmentation leaves empty what may be
    empty, and derives identifiers from the source's bytes, the same each time.

    Raises UserError where the source is no DICOM image.
    """
    import pydicom

    highdicom = require_highdicom()
    try:
        header = _completed(pydicom.dcmread(source, stop_before_pixels=True), source)
        made = _segmentation(highdicom, _as_single_frame(header), mask)
    except Exception as error:  # damaged files and missing attributes make pydicom and highdicom raise anything
        reason = " ".join(str(error).split())[:160]
        raise UserError(
            f"{source} cannot be the source of a DICOM segmentation ({reason}): leave --dicom-seg out."
        ) from error
    _refer_to(made, header, frame)
    buffer = BytesIO()
    made.save_as(buffer)
    return buffer.getvalue()


def _completed(header: Dataset, source: Path) -> Dataset:
    """Add what a segmentation must repeat of its source and the source lacks; nothing that was not said before."""
    from pydicom.uid import generate_uid

    meta = header.get("file_meta") or {}
    told = {
        "SOPInstanceUID": meta.get("MediaStorageSOPInstanceUID"),
        "SOPClassUID": meta.get("MediaStorageSOPClassUID") or NO_KNOWN_CLASS,
        "Modality": OTHER_MODALITY,
    }
    for name in (*told, "StudyInstanceUID", "SeriesInstanceUID"):
        if not header.get(name):
            setattr(header, name, told.get(name) or generate_uid(entropy_srcs=[sha256_of(source), name]))
    for name in MAY_BE_EMPTY:
        if header.get(name) is None:
            setattr(header, name, "")
    return header


def _as_single_frame(header: Dataset) -> Dataset:
    """Return the header as highdicom understands it: it takes several frames for an enhanced image in space.

    A frame of reference without the place of the image in it is of no use to it.
    """
    single = copy.deepcopy(header)
    single.SOPClassUID = SINGLE_FRAME_CLASS
    if "NumberOfFrames" in single:
        del single.NumberOfFrames
    if "FrameOfReferenceUID" in single and not all(single.get(name) for name in PLACE):
        del single.FrameOfReferenceUID
    return single


def _segmentation(highdicom: Any, header: Dataset, mask: npt.NDArray[np.uint8]) -> Any:
    from pydicom.sr.codedict import codes

    algorithm = highdicom.AlgorithmIdentificationSequence(
        name="ussearch", family=codes.DCM.ArtificialIntelligence, version=ussearch.__version__
    )
    lesion = highdicom.seg.SegmentDescription(
        segment_number=1,
        segment_label="lesion",
        segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
        segmented_property_type=codes.SCT.Lesion,
        algorithm_type="AUTOMATIC",
        algorithm_identification=algorithm,
    )
    return highdicom.seg.Segmentation(
        source_images=[header],
        pixel_array=mask[None],
        segmentation_type="BINARY",
        segment_descriptions=[lesion],
        series_instance_uid=highdicom.UID(),
        series_number=SERIES_NUMBER,
        sop_instance_uid=highdicom.UID(),
        instance_number=1,
        manufacturer="ussearch",
        manufacturer_model_name="ussearch",
        software_versions=ussearch.__version__,
        device_serial_number="0",
        omit_empty_frames=False,
    )


def _refer_to(made: Any, header: Dataset, frame: int) -> None:
    """Let the references of a segmentation name the real class of its source, and the frame where it has several."""
    sources = [
        item
        for groups in made.PerFrameFunctionalGroupsSequence
        for derivation in groups.get("DerivationImageSequence", [])
        for item in derivation.SourceImageSequence
    ]
    series = [item for each in made.ReferencedSeriesSequence for item in each.ReferencedInstanceSequence]
    for item in (*sources, *series):
        item.ReferencedSOPClassUID = header.SOPClassUID
    if int(header.get("NumberOfFrames") or 1) > 1:
        for item in sources:
            item.ReferencedFrameNumber = frame + 1
