"""Segmentations as pydicom reads them: the mask, what it was made from, and what it says of itself."""

from __future__ import annotations

import tempfile
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.uid import generate_uid

from tests.datasets.test_frames import dicom
from ussearch.errors import UserError
from ussearch.pairs.dicom_seg import dicom_seg

HIGHDICOM = pytest.mark.skipif(find_spec("highdicom") is None, reason="needs the extra seg")

CLINICAL = {
    "PatientName": "ROE^JANE",
    "PatientID": "7",
    "PatientBirthDate": "",
    "PatientSex": "",
    "StudyDate": "",
    "StudyTime": "",
    "StudyID": "",
    "AccessionNumber": "",
    "ReferringPhysicianName": "",
    "Modality": "US",
    "SeriesNumber": 1,
    "InstanceNumber": 1,
    "StudyInstanceUID": generate_uid(),
    "SeriesInstanceUID": generate_uid(),
}


def source(path: Path, frames: int) -> Path:
    pixels = np.random.default_rng(0).integers(0, 255, (frames, 20, 30), dtype=np.uint8)
    return dicom(path, pixels, **CLINICAL)


@HIGHDICOM
@pytest.mark.parametrize(("frames", "frame"), [(1, 0), (4, 2)])
def test_a_mask_and_where_it_belongs(frames: int, frame: int, tmp_path: Path) -> None:
    file = source(tmp_path / "scan.dcm", frames)
    mask = np.zeros((20, 30), np.uint8)
    mask[5:9, 6:11] = 1
    made = pydicom.dcmread(BytesIO(dicom_seg(file, frame, mask)))
    original = pydicom.dcmread(file)
    assert np.array_equal(made.pixel_array.reshape(20, 30), mask)
    assert (made.Modality, made.SegmentationType, made.NumberOfFrames) == ("SEG", "BINARY", 1)
    assert (made.StudyInstanceUID, made.PatientID) == (original.StudyInstanceUID, "7")
    assert made.SegmentSequence[0].SegmentAlgorithmType == "AUTOMATIC"
    (reference,) = made.PerFrameFunctionalGroupsSequence[0].DerivationImageSequence[0].SourceImageSequence
    assert reference.ReferencedSOPInstanceUID == original.SOPInstanceUID
    assert reference.ReferencedSOPClassUID == original.SOPClassUID
    assert reference.get("ReferencedFrameNumber") == (frame + 1 if frames > 1 else None)


@HIGHDICOM
def test_an_empty_mask_is_a_segmentation_too(tmp_path: Path) -> None:
    made = pydicom.dcmread(BytesIO(dicom_seg(source(tmp_path / "scan.dcm", 1), 0, np.zeros((20, 30), np.uint8))))
    assert not made.pixel_array.any()


@HIGHDICOM
@given(missing=st.sets(st.sampled_from([*CLINICAL, "SOPInstanceUID", "SOPClassUID"])), placed=st.booleans())
@settings(max_examples=25)
def test_optional_attributes_may_be_missing(missing: set[str], placed: bool) -> None:
    mask = np.zeros((20, 30), np.uint8)
    mask[5:9, 6:11] = 1
    with tempfile.TemporaryDirectory() as folder:
        file = source(Path(folder) / "scan.dcm", 3)
        header = pydicom.dcmread(file)
        for name in missing:
            delattr(header, name)
        if placed:
            header.FrameOfReferenceUID = generate_uid()
        header.save_as(file)
        made = pydicom.dcmread(BytesIO(dicom_seg(file, 2, mask)))
        again = pydicom.dcmread(BytesIO(dicom_seg(file, 1, mask)))
    assert np.array_equal(made.pixel_array.reshape(20, 30), mask)
    for name in {*CLINICAL} - {"Modality", "SeriesNumber", "InstanceNumber", "SeriesInstanceUID"}:
        if name not in missing:
            assert made[name].value == header[name].value, name
        elif name == "StudyInstanceUID":
            assert made.StudyInstanceUID.is_valid and made.StudyInstanceUID == again.StudyInstanceUID
        else:
            assert name in made and not made[name].value, name  # present and empty, nothing made up
    (reference,) = made.PerFrameFunctionalGroupsSequence[0].DerivationImageSequence[0].SourceImageSequence
    assert reference.ReferencedSOPInstanceUID == header.file_meta.MediaStorageSOPInstanceUID
    assert reference.ReferencedSOPClassUID == header.file_meta.MediaStorageSOPClassUID


@HIGHDICOM
def test_a_file_that_names_nothing_has_names_of_its_own(tmp_path: Path) -> None:
    files = [dicom(tmp_path / f"{level}.dcm", np.full((1, 20, 30), level, np.uint8)) for level in (1, 2)]
    made = [pydicom.dcmread(BytesIO(dicom_seg(file, 0, np.ones((20, 30), np.uint8)))) for file in files]
    assert made[0].StudyInstanceUID != made[1].StudyInstanceUID
    assert made[0].PatientID == "" and "PatientName" in made[0]


@HIGHDICOM
def test_what_is_no_image_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"image\.png cannot be the source"):
        dicom_seg(tmp_path / "image.png", 0, np.zeros((20, 30), np.uint8))
