"""Old folders, copies, unnamed folders of images, and names of masks that say the same in another way."""

from __future__ import annotations

from pathlib import Path

import pydicom
import pytest
from pydicom.uid import generate_uid

from tests.datasets.conftest import disc, picture, save
from tests.datasets.test_frames import dicom
from tests.datasets.test_layouts import opened, pairs, put
from ussearch.datasets import open_dataset
from ussearch.errors import UserError

OLD = ["Old", "old", "archive", "Archiv", "backup", "bak", "Kopie", "tmp", "thumbnails", "unused", "rejected"]
OLD += ["_old", "old 2023", "Backup_2", "copy of images", "old versions", "Trash"]
PATIENTS = ["p1", "p2", "p3"]


def sentences(dataset: object) -> list[str]:
    assert not any(problem.fatal for problem in dataset.problems)  # type: ignore[attr-defined]
    return [problem.message for problem in dataset.problems]  # type: ignore[attr-defined]


@pytest.mark.parametrize("old", OLD)
@pytest.mark.parametrize("layout", ["{p}/{old}x{k}.png", "{k}/{p}/{old}x.png", "{p}/{k}/{old}x.png"])
def test_old_folders_beside_current_images_are_left_out_and_told(layout: str, old: str) -> None:
    kinds = ("", "_mask") if layout.endswith("{k}.png") else ("images", "masks")
    current = [layout.format(p=p, k=k, old="") for p in PATIENTS for k in kinds]
    former = [layout.format(p="p2", k=k, old=f"{old}/") for k in kinds]
    with opened([*current, *former]) as dataset:
        assert sorted(pairs(dataset)) == sorted(set(current) - set(current[1::2]))
        assert {sample.patient for sample in dataset.samples} == set(PATIENTS)
        (message,) = sentences(dataset)
        assert "2 images and masks in folders named as old" in message and "rename" in message


@pytest.mark.parametrize("old", ["archive", "Old", "tmp"])
def test_a_data_set_that_lies_in_such_a_folder_is_read(old: str) -> None:
    with opened(
        [f"{old}/{kind}/{n}.png" for kind in ("images", "masks") for n in range(3)] + ["figure.png"]
    ) as dataset:
        assert len(dataset) == 3


def test_old_and_young_are_classes() -> None:
    files = [f"images/{age}/{age}{n}.png" for age in ("old", "young") for n in range(25)]
    with opened([*files, *(file.replace("images", "masks") for file in files)]) as dataset:
        assert {sample.label for sample in dataset.samples} == {"old", "young"} and not dataset.problems


@pytest.mark.parametrize("mark", [" - Kopie", " copy", " - Copy", " - Kopie (2)", "_copy", " copy 2", " (2)"])
@pytest.mark.parametrize("layout", ["{s}{k}.png", "{k}/{s}.png", "p1/{s}{k}.png"])
def test_copies_beside_their_originals_are_left_out_and_told(layout: str, mark: str) -> None:
    kinds = ("", "_mask") if layout.endswith("{k}.png") else ("images", "masks")
    current = [layout.format(s=s, k=k) for s in "ab" for k in kinds]
    with opened([*current, *(layout.format(s=f"a{mark}", k=k) for k in kinds)]) as dataset:
        assert sorted(pairs(dataset)) == sorted(current[::2])
        (message,) = sentences(dataset)
        assert "2 images and masks named as copies of others" in message


def test_numbered_images_that_differ_are_no_copies(tmp_path: Path) -> None:
    for number, name in enumerate(["scan", "scan (1)", "scan (2)"]):
        save(tmp_path / f"{name}.png", picture(number))
        save(tmp_path / f"{name}_mask.png", disc(radius=number + 5))
    dataset = open_dataset(tmp_path)
    assert len(dataset) == 3 and all(len(sample.masks) == 1 for sample in dataset.samples)


def test_names_of_copies_without_an_original_stay() -> None:
    with opened(
        [f"{name}{k}.png" for name in ("a copy", "benign (1)", "benign (2)") for k in ("", "_mask")]
    ) as dataset:
        assert len(dataset) == 3 and not dataset.problems


@pytest.mark.parametrize("folder", ["export", "Bilder", "DCM 1", "us_data"])
@pytest.mark.parametrize("inside", ["", "20240101/", "Patient 1/", "benign/"])
@pytest.mark.parametrize("above", ["", "site/"])
@pytest.mark.parametrize("word", ["", "_mask"])
def test_a_folder_beside_masks_with_the_same_paths_holds_the_images(
    folder: str, inside: str, above: str, word: str
) -> None:
    others = [inside, inside.replace("1/", "2/").replace("benign", "malignant")]
    expected = {
        f"{above}{folder}/{place}{n}.png": [f"{above}masks/{place}{n}{word}.png"] for place in others for n in range(3)
    }
    with opened([*expected, *(mask for masks in expected.values() for mask in masks)]) as dataset:
        assert pairs(dataset) == expected
        labels = {"benign", "malignant"} if inside == "benign/" else {None}
        assert {sample.label for sample in dataset.samples} == labels


def test_two_folders_that_fit_the_masks_are_named(tmp_path: Path) -> None:
    put(tmp_path, [f"{folder}/{n}.png" for folder in ("export", "notes", "masks") for n in range(3)])
    with pytest.raises(UserError, match=r"may be those in export/ or notes/; .* called images/, or a manifest"):
        open_dataset(tmp_path)


def test_an_old_folder_is_no_rival_of_an_unnamed_one() -> None:
    with opened([f"{folder}/{n}.png" for folder in ("export", "Old", "masks") for n in range(3)]) as dataset:
        assert {sample.label for sample in dataset.samples} == {None} and len(dataset) == 3


def test_class_folders_beside_masks_stay_classes() -> None:
    images = [f"{label}/{label}{n}.png" for label in ("benign", "malignant") for n in range(3)]
    with opened([*images, *(f"masks/{Path(image).name}" for image in images)]) as dataset:
        assert {sample.label for sample in dataset.samples} == {"benign", "malignant"}


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("images/x{:02}.tif", "masks/Mask of x{:02}.tif"),
        ("images/x{:02}.tif", "masks/Mask of x{:02}.tif.png"),
        ("x{:02}.tif", "Mask of x{:02}.tif"),
        ("images/img_{:03}.png", "masks/mask_{}.png"),
        ("images/{}.png", "masks/{:04}.png"),
        ("images/frame{:02}.png", "masks/{}_mask.png"),
    ],
)
def test_names_that_say_the_same(image: str, mask: str) -> None:
    expected = {image.format(n): [mask.format(n)] for n in range(1, 13)}
    with opened([*expected, *(file for masks in expected.values() for file in masks)]) as dataset:
        assert pairs(dataset) == expected and not dataset.problems


def test_a_number_that_two_masks_have_fits_no_image() -> None:
    files = ["images/img_001.png", "images/img_002.png", "masks/mask_1.png", "masks/mask_01.png", "masks/mask_2.png"]
    with opened(files) as dataset:
        assert pairs(dataset) == {"images/img_002.png": ["masks/mask_2.png"]}
        assert {problem.kind for problem in dataset.problems} == {"missing mask", "missing image"}


# DICOM files.


def dicom_set(root: Path, patients: list[str]) -> list[str]:
    """Write a DICOM image for each patient, with a mask that bears the image's identifier; return these."""
    identifiers = [str(generate_uid()) for _ in patients]
    (root / "images").mkdir(parents=True)
    for number, (identifier, patient) in enumerate(zip(identifiers, patients, strict=True)):
        place = root / f"images/IM{number:04}.dcm"
        dicom(place, picture(number)[None], SOPInstanceUID=identifier, PatientID=patient)
    return identifiers


@pytest.mark.parametrize("word", ["", "_mask"])
def test_masks_named_by_the_identifiers_of_dicom_files(tmp_path: Path, word: str) -> None:
    identifiers = dicom_set(tmp_path, ["A", "B", "A", "B"])
    put(tmp_path, [f"masks/{identifier}{word}.png" for identifier in identifiers])
    dataset = open_dataset(tmp_path)
    assert [sample.masks[0].stem for sample in dataset.samples] == [f"{identifier}{word}" for identifier in identifiers]


def test_reports_among_dicom_images_are_left_out_and_told(tmp_path: Path) -> None:
    put(tmp_path, [f"masks/{identifier}.png" for identifier in dicom_set(tmp_path, ["A", "B", "A"])])
    report = pydicom.dcmread(tmp_path / "images/IM0000.dcm")
    for name in ("Rows", "Columns", "PixelData", "BitsAllocated"):
        delattr(report, name)
    report.SOPInstanceUID, report.SOPClassUID = generate_uid(), "1.2.840.10008.5.1.4.1.1.88.33"
    report.save_as(tmp_path / "images/SR0001.dcm")
    dataset = open_dataset(tmp_path)
    assert len(dataset) == 3
    (message,) = sentences(dataset)
    assert message.startswith("1 DICOM files in") and "images/SR0001.dcm" in message and "black" not in message


@pytest.mark.parametrize(("patients", "unknown"), [(["A", "", "B", ""], 2), (["A", "A", ""], 1), (["A", "B"], 0)])
def test_images_without_a_patient_among_others_are_told(tmp_path: Path, patients: list[str], unknown: int) -> None:
    put(tmp_path, [f"masks/{identifier}.png" for identifier in dicom_set(tmp_path, patients)])
    dataset = open_dataset(tmp_path)
    found = [message for message in sentences(dataset) if "Patient ID" in message]
    assert len(found) == bool(unknown)
    assert all(message.startswith(f"{unknown} of {len(patients)} DICOM files") for message in found)
    assert sum(sample.patient is None for sample in dataset.samples) == unknown


def test_sub_folders_mean_nothing_where_files_name_their_patients(tmp_path: Path) -> None:
    for day, patients in (("2024-01-15", ["A", "B"]), ("2024-01-16", ["B", "C"])):
        identifiers = dicom_set(tmp_path / day, patients)
        put(tmp_path / day, [f"masks/{identifier}.png" for identifier in identifiers])
    dataset = open_dataset(tmp_path)
    assert dataset.folders is None and not dataset.problems
    assert len({sample.patient for sample in dataset.samples}) == 3
