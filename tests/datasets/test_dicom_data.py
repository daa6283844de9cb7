"""A data set of DICOM files: the tissue region is cropped out of images and masks alike, as in inference."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.datasets.conftest import disc, picture, save
from tests.datasets.test_frames import dicom, region
from ussearch.datasets import check, fingerprint_of, open_dataset, prepare, read_frames
from ussearch.errors import UserError

BOX = (10, 6, 39, 31)  # left, top, right, bottom, all included


def scans(root: Path, count: int = 4, box: tuple[int, int, int, int] | None = BOX) -> Path:
    """Write frames of 48 x 40 pixels as DICOM with masks as PNG, both of the whole frame."""
    for number in range(count):
        (root / "images").mkdir(parents=True, exist_ok=True)
        regions = {} if box is None else {"SequenceOfUltrasoundRegions": [region(box)]}
        dicom(root / f"images/scan{number}.dcm", picture(number)[None], PatientName="ROE^JANE", **regions)
        save(root / f"masks/scan{number}.png", disc())
    return root


def test_image_and_mask_are_the_tissue_region(tmp_path: Path) -> None:
    dataset = open_dataset(scans(tmp_path))
    assert dataset.reader == "plain" and dataset.samples[0].id == "images/scan0.dcm"
    image, mask = dataset.source.decode(dataset.samples[0])
    assert np.array_equal(image, picture(0)[6:32, 10:40])
    assert np.array_equal(mask, disc()[6:32, 10:40] > 0)
    assert np.array_equal(image, read_frames(tmp_path / "images/scan0.dcm")[0].pixels)


def test_without_a_region_the_whole_frame_is_used(tmp_path: Path) -> None:
    dataset = open_dataset(scans(tmp_path, box=None))
    image, mask = dataset.source.decode(dataset.samples[1])
    assert np.array_equal(image, picture(1)) and np.array_equal(mask, disc() > 0)


def test_it_can_be_prepared_and_examined(tmp_path: Path) -> None:
    dataset = open_dataset(scans(tmp_path / "data"))
    images = prepare(dataset, 32, tmp_path / "cache")
    assert len(images) == 4 and images.has_lesion.all()
    report = check(open_dataset(tmp_path / "data", strict=False))
    assert report.sound and report.sizes == {"30 x 26": 4}
    assert "ROE" not in str(report.to_dict())


def test_patient_ids_group_the_images_and_are_not_kept(tmp_path: Path) -> None:
    scans(tmp_path)
    for number, patient in enumerate(["MRN-7", "MRN-7", "MRN-8", ""]):
        dicom(tmp_path / f"images/scan{number}.dcm", picture(number)[None], PatientID=patient)
    first, second, third, unknown = (sample.patient for sample in open_dataset(tmp_path).samples)
    assert first == second != third and third is not None and unknown is None
    report = check(open_dataset(tmp_path))
    assert report.patients == 2 and "MRN" not in str(report.to_dict()) and "MRN" not in str(first)


def test_one_patient_id_for_all_is_an_anonymiser_s(tmp_path: Path) -> None:
    scans(tmp_path)
    for number in range(4):
        dicom(tmp_path / f"images/scan{number}.dcm", picture(number)[None], PatientID="ANON")
    assert {sample.patient for sample in open_dataset(tmp_path).samples} == {None}


def test_a_damaged_file_has_no_patient_and_is_told_when_it_is_read(tmp_path: Path) -> None:
    scans(tmp_path)
    (tmp_path / "images/scan0.dcm").write_bytes(b"no DICOM")
    report = check(open_dataset(tmp_path, strict=False))
    assert [problem.kind for problem in report.problems] == ["unreadable file"]


def test_the_region_is_part_of_the_fingerprint(tmp_path: Path) -> None:
    first = fingerprint_of(open_dataset(scans(tmp_path / "a")))
    assert first != fingerprint_of(open_dataset(scans(tmp_path / "b", box=(0, 0, 20, 20))))


def test_a_mask_of_the_region_alone_is_refused_by_name(tmp_path: Path) -> None:
    scans(tmp_path)
    save(tmp_path / "masks/scan1.png", disc(26, 30))
    dataset = open_dataset(tmp_path)
    with pytest.raises(UserError, match=r"scan1\.png is 30 x 26 pixels but its image scan1\.dcm is 48 x 40"):
        dataset.source.decode(dataset.samples[1])


def test_a_cine_beside_one_mask_is_refused(tmp_path: Path) -> None:
    scans(tmp_path)
    dicom(tmp_path / "images/scan2.dcm", np.stack([picture(7), picture(8)]))
    dataset = open_dataset(tmp_path)
    with pytest.raises(UserError, match=r"scan2\.dcm holds 2 frames"):
        dataset.source.decode(dataset.samples[2])


def test_a_mask_that_is_no_raster_image_is_missing(tmp_path: Path) -> None:
    scans(tmp_path)
    (tmp_path / "masks/scan3.png").unlink()
    dicom(tmp_path / "masks/scan3.dcm", disc()[None])
    with pytest.raises(UserError, match=r"scan3\.dcm has no mask: expected a PNG .* named 'scan3' in masks/"):
        open_dataset(tmp_path)
