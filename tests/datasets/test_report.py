"""The data check sees every fault and stops at none."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ussearch.datasets import check, open_dataset, prepare
from ussearch.errors import UserError


def spoil(busi: Path) -> None:
    (busi / "benign/benign (2).png").write_bytes(b"broken")
    Image.new("L", (9, 9)).save(busi / "benign/benign (3)_mask.png")
    (busi / "benign/benign (4)_mask.png").unlink()
    (busi / "benign/benign (5).png").unlink()
    copied = np.asarray(Image.open(busi / "benign/benign (1).png"))
    Image.fromarray(255 - (255 - copied) // 2).save(busi / "malignant/malignant (1).png")


def test_sound_data(busi: Path) -> None:
    report = check(open_dataset(busi))
    assert report.sound and not report.problems and report.leakage is None
    assert (report.images, report.readable, report.empty_masks, report.several_masks) == (12, 12, 2, 1)
    assert report.classes == {"benign": 6, "malignant": 4, "normal": 2}
    assert report.sizes == {"48 x 40": 12} and report.patients is None
    assert report.near_duplicates == () and report.split_groups == 12
    drawn = np.asarray(Image.open(busi / "benign/benign (2)_mask.png")) > 0
    assert report.lesion_share["p50"] == round(drawn.mean(), 5)


def test_every_fault_is_reported(busi: Path) -> None:
    spoil(busi)
    report = check(open_dataset(busi, strict=False))
    assert {(problem.kind, problem.file) for problem in report.problems} == {
        ("unreadable file", "benign/benign (2).png"),
        ("size mismatch", "benign/benign (3).png"),
        ("missing mask", "benign/benign (4).png"),
        ("missing image", "benign/benign (5)_mask.png"),
    }
    assert (report.images, report.readable) == (11, 8)
    assert not report.sound
    assert report.near_duplicate_pairs == 1
    assert report.near_duplicates == report.contradicting == (("benign/benign (1).png", "malignant/malignant (1).png"),)
    assert report.sizes == {"48 x 40": 8}


def test_leakage_across_a_split(busi: Path, tmp_path: Path) -> None:
    spoil(busi)
    names = [sample.id for sample in open_dataset(busi, strict=False).samples]
    test = ["malignant/malignant (1).png", "malignant/malignant (2).png"]
    file = tmp_path / "split.json"
    file.write_text(json.dumps({"train": [name for name in names if name not in test], "test": test}))
    leakage = check(open_dataset(busi, strict=False), file).leakage
    assert leakage is not None
    assert leakage.leaking_groups == (("benign/benign (1).png", "malignant/malignant (1).png"),)
    assert leakage.test_images_concerned == 1 and leakage.parts["test"] == 2
    file.write_text(json.dumps({"train": ["benign (99)"]}))
    report = check(open_dataset(busi, strict=False), file)
    assert report.leakage is None and "unusable split" in {problem.kind for problem in report.problems}


def test_all_masks_empty_is_not_sound(busi: Path) -> None:
    for mask in busi.rglob("*_mask*.png"):
        Image.new("L", (48, 40)).save(mask)
    report = check(open_dataset(busi))
    assert report.empty_masks == 12 and not report.sound
    (problem,) = [problem for problem in report.problems if problem.fatal]
    with pytest.raises(UserError) as refused:
        prepare(open_dataset(busi), 32, busi / "cache")
    assert problem.message == str(refused.value)


def test_nothing_readable_is_still_reported(busi: Path) -> None:
    for file in busi.rglob("*.png"):
        file.write_bytes(b"")
    report = check(open_dataset(busi, strict=False))
    assert report.readable == 0 and len(report.problems) == 12 and not report.sound
