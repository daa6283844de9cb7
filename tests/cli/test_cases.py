"""The kinds of data that public bug trackers report, from beside the checkout: read rightly, asked, or refused."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ussearch.datasets import open_dataset, prepare, read_frames, settled

from .conftest import Command

pytestmark = pytest.mark.shared
Case = Callable[..., Path]


@pytest.fixture
def case(shared: Path, tmp_path: Path) -> Case:
    """Make the inputs of a case and return their folder."""

    def make(name: str, *variant: str) -> Path:
        out = tmp_path / "-".join((name, *variant))
        program = shared / "cases" / name / "make.py"
        subprocess.run([sys.executable, str(program), str(out), *variant], check=True, capture_output=True)
        return out

    return make


@pytest.fixture
def checked(ussearch: Command) -> Callable[..., tuple[int, Any]]:
    def check(folder: Path, *options: object) -> tuple[int, Any]:
        outcome = ussearch("data", "check", folder, *options, "--json")
        return outcome.status, json.loads(outcome.out) if outcome.out else outcome.err

    return check


def test_several_structures(case: Case, checked: Callable[..., Any]) -> None:
    status, question = checked(case("01-multiclass-masks"))
    assert status == 2 and [row["label"] for row in question["found"]] == ["0", "1", "2", "3"]
    annotated = sum(int(row["pixels"].replace(",", "")) for row in question["found"][1:])
    status, report = checked(case("01-multiclass-masks", "again"), "--lesion", "1,2,3")
    assert status == 0 and report["empty_masks"] == 0
    lesion = sum(row["pixels"] for row in report["reading"]["masks"]["labels"] if row["meaning"] == "lesion")
    assert lesion == annotated


def test_a_palette_whose_background_is_not_black(case: Case, checked: Callable[..., Any]) -> None:
    status, report = checked(case("02-palette-empty"))
    assert status == 0 and report["empty_masks"] == 8 and report["lesion_share"]["p100"] < 0.2


@pytest.mark.parametrize("colour", ["0", "255"])
def test_a_mask_in_alpha(case: Case, checked: Callable[..., Any], colour: str) -> None:
    status, report = checked(case("03-mask-in-alpha", colour))
    assert status == 0 and report["empty_masks"] == 0 and report["lesion_share"]["p100"] < 0.2


def test_floats(case: Case, checked: Callable[..., Any], tmp_path: Path) -> None:
    root = case("04-float-tiff")
    status, report = checked(root)
    assert status == 0 and report["formats"]["kinds"] == {"float": 24}
    dataset = settled(open_dataset(root))
    for sample in dataset.samples:
        twin = np.asarray(Image.open(sample.image)) * 255.0
        found = dataset.source.decode(sample)[0].astype(float)
        scale = np.percentile(twin, 99) / max(np.percentile(found, 99), 1)
        assert np.corrcoef(twin.ravel(), found.ravel())[0, 1] > 0.99 and 0.5 < scale < 1.1
        assert len(np.unique(found)) > 100


def test_12_bits_in_16_bit_files(case: Case) -> None:
    """One scene in three files, two of which hold one brighter pixel."""
    root = case("05-16bit-scale")
    images, masks = root / "images", root / "masks"
    images.mkdir(), masks.mkdir()
    for path in sorted(root.glob("*.png")):
        path.rename(images / path.name)
        mask = np.zeros(np.asarray(Image.open(images / path.name)).shape, np.uint8)
        mask[30:50, 40:70] = 255
        Image.fromarray(mask).save(masks / path.name)
    dataset = settled(open_dataset(root))
    first, second, third = (dataset.source.decode(sample)[0] for sample in dataset.samples)
    assert (first != second).sum() <= 1 and (first != third).sum() <= 1 and first.mean() > 20
    assert dataset.reading is not None
    seen = [read_frames(sample.image, dataset.reading.grey_scale)[0].pixels for sample in dataset.samples]
    assert all(np.array_equal(*pair) for pair in zip(seen, (first, second, third), strict=True))


def test_patients_in_folders(case: Case, checked: Callable[..., Any]) -> None:
    status, report = checked(case("06-patient-folders"))
    assert status == 0 and report["patients"] == 8 and report["classes"] == {"unknown": 48}
    assert report["split_groups"] <= 8


@pytest.mark.parametrize(("orientation", "shape"), [("6", "wide"), ("6", "square"), ("3", "wide"), ("3", "square")])
def test_orientation(case: Case, checked: Callable[..., Any], orientation: str, shape: str) -> None:
    """The lesion is dark in the scenes: where mask and image fit, it is darker inside than outside."""
    root = case("07-exif", orientation, shape)
    status, report = checked(root)
    assert status == 0 and report["formats"]["turned"] == 12
    dataset = settled(open_dataset(root))
    for sample in dataset.samples:
        image, mask = dataset.source.decode(sample)
        inside = np.asarray(Image.open(sample.masks[0])) > 0
        assert np.array_equal(mask > 0, inside)
        if inside.any():
            assert image[inside].mean() < 0.5 * image[~inside].mean()


def test_equal_stems(case: Case, checked: Callable[..., Any]) -> None:
    status, report = checked(case("08-same-stem"))
    assert status == 1 and {problem["kind"] for problem in report["problems"]} == {"equal names"}


def test_two_regions(case: Case, checked: Callable[..., Any]) -> None:
    status, question = checked(case("12-two-regions"))
    assert status == 2 and {row["region"] for row in question["found"]} == {"whole", "largest", "1", "2"}
    status, report = checked(case("12-two-regions", "again"), "--region", "whole")
    assert status == 0 and report["empty_masks"] == 0


@pytest.mark.parametrize("name", ["cine.tif", "cine.gif"])
def test_pages_beyond_the_first(case: Case, checked: Callable[..., Any], name: str) -> None:
    root = case("14-multipage-tiff")
    assert len(read_frames(root / name)) == 10
    images, masks = root / "images", root / "masks"
    images.mkdir(), masks.mkdir()
    (root / name).rename(images / name)
    Image.new("L", Image.open(images / name).size).save(masks / "cine.png")
    status, report = checked(root)
    assert status != 0 and "10 frames" in json.dumps(report)


@pytest.mark.parametrize("variant", ["a", "b"])
def test_a_given_split(case: Case, checked: Callable[..., Any], ussearch: Command, variant: str) -> None:
    root = case("16-presplit", variant)
    status, report = checked(root)
    assert status == 0 and report["parts"] == {"train": 24, "validation": 8, "test": 8}
    plan = ussearch("run", "--profile", "jetson-nano", "--data", root, "--image-size", 64, "--dry-run", "--json")
    assert plan.status == 0, plan.err
    parts = json.loads(plan.out)["split"]
    assert parts["test"] == 8 and parts["validation"] == 8 and parts["train"] + parts["calibration"] == 24


def test_tiny_lesions(case: Case, checked: Callable[..., Any], ussearch: Command) -> None:
    root = case("17-tiny-lesions")
    status, report = checked(root, "--image-size", 64)
    assert status == 0 and len(report["vanished"]["images"]) == 12
    images = prepare(open_dataset(root), 64)
    assert (~images.has_lesion).sum() == 12
    plan = ussearch("run", "--profile", "jetson-nano", "--data", root, "--image-size", 64, "--dry-run")
    assert plan.status == 0 and "12 images count as without lesion" in plan.out


@pytest.mark.parametrize("variant", ["five", "onepatient", "black", "three"])
def test_one_verdict(case: Case, checked: Callable[..., Any], ussearch: Command, variant: str) -> None:
    root = case("19-small-sets", variant)
    status, report = checked(root)
    plan = ussearch("run", "--profile", "jetson-nano", "--data", root, "--image-size", 64, "--dry-run")
    assert (status == 0) == (plan.status == 0)
    if status == 1:
        assert any(problem["message"] in plan.err for problem in report["problems"] if problem["fatal"])


READ = (
    *("case_folders", "mask_suffix", "isic_suffix", "labels_folder", "nnunet", "beside_seg", "beside_mask"),
    *("per_patient", "patient_subfolders", "cvat_voc", "upper_ext", "unicode", "coco", "labelme", "yolo"),
)
NAMED = {"supervisely": "Supervisely"}


def test_layouts(case: Case, ussearch: Command) -> None:
    root = case("23-layouts")
    assert {path.name for path in root.iterdir()} == {*READ, *NAMED}
    for name in READ:
        outcome = ussearch("data", "check", root / name, "--json")
        report = json.loads(outcome.out)
        assert (outcome.status, report["readable"], report["empty_masks"]) == (0, 12, 0), name
    for name, tool in NAMED.items():
        outcome = ussearch("data", "check", root / name)
        assert outcome.status == 2 and tool in outcome.err and "all-black" not in outcome.err
