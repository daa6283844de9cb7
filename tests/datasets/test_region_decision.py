"""Ultrasound regions of DICOM files: no annotated pixel is lost without a word."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ussearch.datasets import ReadingOptions, check, open_dataset, settled
from ussearch.errors import Question, UserError

from .test_frames import dicom, noise, region

LEFT, RIGHT = (0, 0, 51, 39), (52, 0, 99, 39)  # first and last pixel: the left one is a little larger


def dual(
    root: Path, lesions: list[tuple[int, ...]], boxes: tuple[tuple[int, int, int, int], ...] = (LEFT, RIGHT)
) -> Path:
    """Write frames of two regions; ``lesions`` are the columns of the lesions in each image."""
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    for number, columns in enumerate(lesions):
        pixels = np.roll(noise(1, 40, 100), number)
        regions = pydicom_sequence(boxes)
        dicom(root / "images" / f"{number}.dcm", pixels, SequenceOfUltrasoundRegions=regions)
        mask = np.zeros((40, 100), np.uint8)
        for column in columns:
            mask[12:24, column : column + 10] = 255
        Image.fromarray(mask).save(root / "masks" / f"{number}.png")
    return root


def pydicom_sequence(boxes: tuple[tuple[int, int, int, int], ...]) -> list[object]:
    return [region(box) for box in boxes]


def region_of(root: Path, asked: str | None = None) -> str:
    reading = settled(open_dataset(root), ReadingOptions(region=asked)).reading
    assert reading is not None
    return reading.region


def test_the_largest_region_is_used_where_it_holds_every_lesion(tmp_path: Path) -> None:
    assert region_of(dual(tmp_path / "data", [(10,), (20,), (), (30,)])) == "largest"


def test_the_region_that_holds_all_annotations_is_taken(tmp_path: Path) -> None:
    root = dual(tmp_path / "data", [(60,), (70,), (), (80,)])
    assert region_of(root) == "2"
    dataset = settled(open_dataset(root))
    image, mask = dataset.source.decode(dataset.samples[0])
    assert image.shape == (40, 48) and mask[12:24, 8:18].all() and mask.sum() == 120


def test_lesions_in_both_regions_are_a_question(tmp_path: Path) -> None:
    root = dual(tmp_path / "data", [(10,), (70,), (20,), (80,), (30, 60)])
    with pytest.raises(Question) as asked:
        region_of(root)
    rows = {row[0]: row[1:] for row in asked.value.rows}
    assert rows["whole"] == ("0", "0", "0")
    assert rows["1"] == rows["largest"] == ("360", "3", "2")
    assert rows["2"] == ("360", "3", "2")
    assert [answer.options["region"] for answer in asked.value.answers][:2] == ["whole", "largest"]
    assert region_of(root, "whole") == "whole"
    report = check(open_dataset(root), options=ReadingOptions(region="largest"))
    (problem,) = (each for each in report.problems if each.kind == "lost annotation")
    assert not problem.fatal and "360 annotated pixels of 3 images" in problem.message


def test_a_part_of_a_lesion_that_is_cut_off_is_told(tmp_path: Path) -> None:
    root = dual(tmp_path / "data", [(10,), (20,), (47,), (30,)], boxes=((0, 0, 51, 39),))
    report = check(open_dataset(root))
    assert report.reading is not None and report.reading.region == "largest"
    assert (report.reading.cut_pixels, report.reading.cut_images) == (60, 1)
    (problem,) = (each for each in report.problems if each.kind == "lost annotation")
    assert "60 annotated pixels of 1 images lie outside, and 0 images lose every lesion" in problem.message


def test_a_region_that_no_file_has(tmp_path: Path) -> None:
    root = dual(tmp_path / "data", [(10,), (20,)])
    with pytest.raises(UserError, match="region 3"):
        dataset = settled(open_dataset(root), ReadingOptions(region="3"))
        dataset.source.decode(dataset.samples[0])


def test_a_number_where_no_file_tells_of_regions(tmp_path: Path) -> None:
    root = dual(tmp_path / "data", [(10,), (20,)], boxes=())
    with pytest.raises(
        UserError, match="--region 2 is not possible: no file of the data set tells of ultrasound regions"
    ):
        settled(open_dataset(root), ReadingOptions(region="2"))
