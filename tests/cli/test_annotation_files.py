"""From what an annotation tool wrote to a verified bundle, through the real command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.datasets import annotation_tools as tools
from ussearch.datasets import PhantomParameters
from ussearch.datasets.phantoms import make_phantom
from ussearch.pairs import Bundle

from .conftest import TINY_RUN, Command


def exported(folder: Path, count: int = 40) -> Path:
    """Write phantoms as a COCO export, whose runs are their masks."""
    parameters = PhantomParameters(count=count, seed=0, image_size=64)
    images, annotations = [], []
    for number in range(count):
        phantom = make_phantom(parameters, number)
        tools.write_images(folder / "images", [tools.Scene(f"p{number:03d}.png", phantom.image, ())])
        images.append({"id": number, "file_name": f"p{number:03d}.png", "height": 64, "width": 64})
        if phantom.mask.any():
            runs = {"size": [64, 64], "counts": tools.runs_by_columns(phantom.mask)}
            annotations.append({"id": number, "image_id": number, "category_id": 1, "segmentation": runs, "iscrowd": 1})
    content = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "lesion"}]}
    (folder / "annotations").mkdir()
    (folder / "annotations" / "instances_default.json").write_text(json.dumps(content))
    return folder


def test_the_check_tells_names_and_images_without_a_lesion(ussearch: Command, tmp_path: Path) -> None:
    report = ussearch("data", "check", exported(tmp_path / "d"), "--html", tmp_path / "page.html")
    assert report.status == 0, report.err
    assert "labels that are lesion" in report.out and "lesion (" in report.out and "not drawn (" in report.out
    assert (tmp_path / "page.html").stat().st_size > 1000


def test_several_structures_are_asked_for_in_one_sentence(ussearch: Command, tmp_path: Path) -> None:
    folder = tools.coco(tmp_path / "d", tools.scenes(labels=("whole", "core")))
    run = ("run", "--profile", "jetson-nano", "--data", folder, "--image-size", 64, "--dry-run")
    asked = ussearch(*run)
    assert asked.status == 2 and "--lesion core" in asked.err and "Traceback" not in asked.err
    assert ussearch(*run, "--lesion", "whole").status == 0


@pytest.mark.slow
def test_a_run_from_a_coco_file_ends_with_a_verified_bundle(ussearch: Command, tmp_path: Path) -> None:
    run = ("run", "--profile", "jetson-nano", "--data", exported(tmp_path / "d"), "--study", tmp_path / "s", *TINY_RUN)
    outcome = ussearch(*run)
    assert outcome.status == 0, outcome.out + outcome.err
    assert "accepted by ussearch verify" in outcome.out
    manifest = Bundle.load(tmp_path / "s" / "bundle").manifest
    assert manifest.data.reader == "coco"
    assert ussearch("export", tmp_path / "s", "--out", tmp_path / "again").status == 0
    assert ussearch("evaluate", tmp_path / "s" / "bundle", "--data", tmp_path / "d").status == 0
