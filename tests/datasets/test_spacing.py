"""The size of pixels: from tables and headers, each with its unit, and unknown where nothing tells."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.datasets.conftest import disc, picture, save
from tests.datasets.test_frames import dicom, region
from ussearch.datasets import check, open_dataset, prepare, settled
from ussearch.datasets.reading import ReadingOptions

LARGE, SMALL = (10, 6, 39, 31), (0, 0, 19, 19)
CENTIMETRES, SECONDS = 3, 4


def told(box: tuple[int, int, int, int], down: float | None, across: float | None, unit: int = CENTIMETRES) -> Any:
    """Return a region with physical deltas, as machines write them."""
    found = region(box)
    found.PhysicalUnitsXDirection = found.PhysicalUnitsYDirection = unit
    for name, delta in (("PhysicalDeltaY", down), ("PhysicalDeltaX", across)):
        if delta is not None:
            setattr(found, name, delta)
    return found


def scans(root: Path, **attributes: Any) -> Path:
    """Write two DICOM files of 48 x 40 pixels with masks."""
    (root / "images").mkdir(parents=True)
    for number in range(2):
        dicom(root / f"images/scan{number}.dcm", picture(number)[None], **attributes)
        save(root / f"masks/scan{number}.png", disc())
    return root


def spacing(root: Path, region: str | None = None) -> Any:
    found = prepare(settled(open_dataset(root), ReadingOptions(region=region)), 32).spacing_mm
    return None if found is None else found.tolist()


TWO = [told(SMALL, 0.05, 0.05), told(LARGE, -0.01, 0.02)]


@pytest.mark.parametrize(
    ("attributes", "asked", "expected"),
    [
        ({"SequenceOfUltrasoundRegions": [told(LARGE, 0.01, 0.02)]}, None, (0.1, 0.2)),
        ({"SequenceOfUltrasoundRegions": TWO}, None, (0.1, 0.2)),
        ({"SequenceOfUltrasoundRegions": TWO}, "1", (0.5, 0.5)),
        ({"SequenceOfUltrasoundRegions": TWO}, "whole", None),
        ({"SequenceOfUltrasoundRegions": [told(LARGE, 0.01, 0.02)]}, "whole", (0.1, 0.2)),
        ({"SequenceOfUltrasoundRegions": TWO, "PixelSpacing": [0.3, 0.4]}, "whole", (0.3, 0.4)),
        ({"SequenceOfUltrasoundRegions": [told(LARGE, 0.01, 0.02, SECONDS)]}, None, None),
        ({"SequenceOfUltrasoundRegions": [told(LARGE, 0.0, 0.02)]}, None, None),
        ({"SequenceOfUltrasoundRegions": [told(LARGE, None, 0.02)]}, None, None),
        ({"SequenceOfUltrasoundRegions": [region(LARGE)], "PixelSpacing": [0.3, 0.4]}, None, (0.3, 0.4)),
        ({"PixelSpacing": [0.3, 0.4]}, None, (0.3, 0.4)),
        ({}, None, None),
    ],
)
def test_dicom_tells_it_by_region_or_for_the_frame(
    tmp_path: Path, attributes: dict[str, Any], asked: str | None, expected: tuple[float, float] | None
) -> None:
    found = spacing(scans(tmp_path, **attributes), asked)
    assert found is None if expected is None else found == [pytest.approx(expected)] * 2


def test_a_table_counts_more_than_a_header_and_the_check_tells_both(tmp_path: Path) -> None:
    root = scans(tmp_path, PixelSpacing=[0.3, 0.4])
    lines = ["image,mask,spacing", "images/scan0.dcm,masks/scan0.png,0.1x0.2", "images/scan1.dcm,masks/scan1.png,"]
    (root / "images.csv").write_text("\n".join(lines))
    assert spacing(root) == [pytest.approx((0.1, 0.2)), pytest.approx((0.3, 0.4))]
    found = check(open_dataset(root)).spacing
    assert found is not None and (found.low_mm, found.high_mm, found.images) == pytest.approx((0.1, 0.4, 2))


def test_images_that_do_not_tell_are_unknown_beside_those_that_do(tmp_path: Path) -> None:
    for number in range(2):
        save(tmp_path / f"images/{number}.png", picture(number))
        save(tmp_path / f"masks/{number}.png", disc())
    assert spacing(tmp_path) is None and check(open_dataset(tmp_path)).spacing is None
    (tmp_path / "images.csv").write_text(
        "image,mask,spacing\nimages/0.png,masks/0.png,0.1\nimages/1.png,masks/1.png,\n"
    )
    first, second = spacing(tmp_path)
    assert first == [0.1, 0.1] and np.isnan(second).all()
    found = check(open_dataset(tmp_path)).spacing
    assert found is not None and found.images == 1


def test_a_table_corrected_later_counts_though_pictures_are_prepared(tmp_path: Path) -> None:
    root = scans(tmp_path, PixelSpacing=[0.3, 0.4])
    table = root / "images.csv"
    for side in ("0.1", "0.2"):
        lines = ["image,mask,spacing", f"images/scan0.dcm,masks/scan0.png,{side}", "images/scan1.dcm,masks/scan1.png,"]
        table.write_text("\n".join(lines))
        assert spacing(root) == [pytest.approx((float(side), float(side))), pytest.approx((0.3, 0.4))]


def test_an_empty_table_of_hc18_tells_nothing(tmp_path: Path) -> None:
    save(tmp_path / "000_HC.png", picture(1))
    save(tmp_path / "000_HC_Annotation.png", disc())
    (tmp_path / "training_set_pixel_size_and_HC.csv").write_text("")
    assert open_dataset(tmp_path).samples[0].spacing_mm is None


@pytest.mark.parametrize("place", ["", "training_set"])
def test_hc18_has_a_table(tmp_path: Path, place: str) -> None:
    for name in ("000_HC", "001_HC"):
        save(tmp_path / place / f"{name}.png", picture(1))
        save(tmp_path / place / f"{name}_Annotation.png", disc())
    table = "filename,pixel size(mm),head circumference (mm)\n000_HC.png,0.0691358041432,44.3\n001_HC.png,none,56.81\n"
    (tmp_path / "training_set_pixel_size_and_HC.csv").write_text(table)
    first, second = open_dataset(tmp_path / place).samples
    assert first.spacing_mm == (0.0691358041432, 0.0691358041432) and second.spacing_mm is None
