"""Every layout is recognised, read and explained; what does not fit is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ussearch.datasets import READERS, open_dataset
from ussearch.datasets.dataset import Dataset
from ussearch.datasets.readers.manifest_text import manifest_text
from ussearch.errors import Question, UserError


def draw(path: Path, value: int = 200) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(len(path.name) + value).integers(0, 256, (20, 24), dtype=np.uint8)
    if "mask" in str(path).lower() or "Annotation" in path.name or "Ground Truth" in str(path):
        pixels = np.zeros((20, 24), np.uint8)
        pixels[5:15, 6:18] = 255
    Image.fromarray(pixels).save(path)


SQUARE = [6, 5, 18, 5, 18, 15, 6, 15]
COCO = {
    "images": [{"id": 1, "file_name": "a.png", "height": 20, "width": 24}],
    "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "segmentation": [SQUARE]}],
    "categories": [{"id": 1, "name": "lesion"}],
}
LABELME = {"imagePath": "a.png", "shapes": [{"label": "lesion", "points": [[6, 5], [18, 5], [18, 15], [6, 15]]}]}
CVAT = (
    '<annotations><image name="a.png" height="20" width="24">'
    '<polygon label="lesion" points="6,5;18,5;18,15;6,15"/></image></annotations>'
)
TEXTS: dict[str, dict[str, str]] = {
    "coco": {"annotations/instances_default.json": json.dumps(COCO)},
    "labelme": {"a.json": json.dumps(LABELME)},
    "cvat": {"annotations.xml": CVAT},
    "yolo": {"labels/a.txt": "0 0.25 0.25 0.75 0.25 0.75 0.75 0.25 0.75\n"},
    "manifest": {"images.csv": "image,mask\nshots/a.png,drawn masks/1.png\nshots/b.png,\n"},
    "kvasir-seg": {"kavsir_bboxes.json": "{}"},
}
"""Files beside the pictures of a layout."""

LAYOUTS: dict[str, list[str]] = {
    "coco": ["images/a.png"],
    "labelme": ["a.png"],
    "cvat": ["images/a.png"],
    "yolo": ["images/a.png"],
    "busi": ["benign/benign (1).png", "benign/benign (1)_mask.png", "normal/normal (1).png"],
    "hc18": ["000_HC.png", "000_HC_Annotation.png", "000_2HC.png", "000_2HC_Annotation.png"],
    "tn3k": [
        "trainval-image/0000.jpg",
        "trainval-mask/0000.jpg",
        "test-image/0000.jpg",
        "test-mask/0000.jpg",
    ],
    "nerve": ["1_1.tif", "1_1_mask.tif", "1_2.tif", "1_2_mask.tif", "12_1.tif", "12_1_mask.tif"],
    "kvasir-seg": ["images/cju0.jpg", "masks/cju0.jpg"],
    "cvc-clinicdb": ["Original/1.tif", "Ground Truth/1.tif"],
    "plain": ["images/a.png", "masks/a.bmp", "images/malignant/b.png", "masks/malignant/b.png"],
    "manifest": ["shots/a.png", "drawn masks/1.png", "shots/b.png"],
}


def build(root: Path, name: str) -> Path:
    for file in LAYOUTS[name]:
        draw(root / file)
    for file, text in TEXTS.get(name, {}).items():
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_text(text)
    return root


def test_every_reader_is_tried_here() -> None:
    assert set(LAYOUTS) == set(READERS)


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("level", ["", "below"])
def test_layout_is_recognised_at_the_root_and_one_level_above(tmp_path: Path, name: str, level: str) -> None:
    build(tmp_path / "given" / level, name)
    dataset = open_dataset(tmp_path / "given")
    assert dataset.reader == name
    assert dataset.root == tmp_path / "given" / level
    assert not dataset.problems
    images = [file for file in LAYOUTS[name] if "mask" not in file and "Ann" not in file and "Ground" not in file]
    assert [sample.id for sample in dataset.samples] == sorted(images)
    for sample in dataset.samples:
        image, mask = dataset.source.decode(sample)
        assert image.shape == mask.shape == (20, 24)
        assert mask.sum() == (120 if sample.masks else 0)


@pytest.mark.parametrize("name", sorted(set(LAYOUTS) - {"hc18", "coco", "labelme", "cvat", "yolo"}))
def test_every_layout_survives_as_a_manifest(tmp_path: Path, name: str) -> None:
    dataset = open_dataset(build(tmp_path, name))
    (tmp_path / "images.csv").write_text(manifest_text(dataset))
    again = open_dataset(tmp_path)
    assert again.reader == "manifest" and again.samples == dataset.samples
    for sample in dataset.samples:
        assert all(map(np.array_equal, dataset.source.decode(sample), again.source.decode(sample)))


def test_outlines_are_left_to_their_reader(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Masks of the layout hc18 may be outlines"):
        manifest_text(open_dataset(build(tmp_path, "hc18")))


@pytest.mark.parametrize("name", LAYOUTS)
def test_reader_contract(name: str) -> None:
    reader = READERS[name]
    assert reader.name == name
    assert reader.layout and "\n" not in reader.layout
    assert reader.names_in_split("train", ["a", "b"]) == ["a", "b"]


def test_classes_patients_and_folders(tmp_path: Path) -> None:
    def dataset(name: str) -> Dataset:
        return open_dataset(build(tmp_path / name, name))

    assert [s.label for s in dataset("busi").samples] == ["benign", "normal"]
    assert [s.patient for s in dataset("hc18").samples] == ["000", "000"]
    assert [s.patient for s in dataset("nerve").samples] == ["12", "1", "1"]
    assert [s.label for s in dataset("plain").samples] == [None, "malignant"]
    assert len({s.id for s in dataset("tn3k").samples}) == 2
    assert READERS["tn3k"].names_in_split("train", [7]) == ["trainval-image/0007"]


def test_masks_of_one_image_are_united(busi: Path) -> None:
    dataset = open_dataset(busi)
    sample = next(sample for sample in dataset.samples if sample.id == "benign/benign (1).png")
    assert len(sample.masks) == 2
    both = dataset.source.decode(sample)[1]
    alone = [np.asarray(Image.open(path)) > 0 for path in sample.masks]
    assert np.array_equal(both, alone[0] | alone[1])


def test_unknown_layout_names_what_is_missing(tmp_path: Path) -> None:
    draw(tmp_path / "assorted/one.png")
    with pytest.raises(UserError, match=r"no known layout: it has 1 images, but none is named as the mask .* expected"):
        open_dataset(tmp_path)


def test_ambiguous_layout_names_the_candidates_and_a_reader_decides(tmp_path: Path) -> None:
    build(tmp_path, "busi")
    build(tmp_path, "cvc-clinicdb")
    with pytest.raises(UserError, match=r"several layouts.*busi in .*cvc-clinicdb in "):
        open_dataset(tmp_path)
    assert open_dataset(tmp_path, reader="cvc-clinicdb").reader == "cvc-clinicdb"


def test_two_data_sets_below_one_folder_are_ambiguous(tmp_path: Path) -> None:
    build(tmp_path / "first", "hc18")
    build(tmp_path / "second", "hc18")
    with pytest.raises(UserError, match="several layouts"):
        open_dataset(tmp_path)


def test_what_a_reader_knows_of_patients_is_not_lost_to_the_general_one(tmp_path: Path) -> None:
    for part in ("train", "test"):
        build(tmp_path / part, "nerve")
    with pytest.raises(UserError, match=r"several layouts \(nerve in .*test, nerve in .*train\)"):
        open_dataset(tmp_path)


def test_two_plain_folders_below_one_are_asked_for(tmp_path: Path) -> None:
    build(tmp_path / "first", "plain")
    build(tmp_path / "second", "plain")
    with pytest.raises(Question) as caught:
        open_dataset(tmp_path)
    assert caught.value.rows == (("first", "2", "2"), ("second", "2", "2"))


def test_forced_reader_that_does_not_fit(tmp_path: Path) -> None:
    build(tmp_path, "busi")
    with pytest.raises(UserError, match=r"no known layout.*hc18"):
        open_dataset(tmp_path, reader="hc18")
    with pytest.raises(UserError, match="did you mean busi"):
        open_dataset(tmp_path, reader="bussi")


def test_empty_missing_and_file_instead_of_folder(tmp_path: Path) -> None:
    (tmp_path / "void").mkdir()
    with pytest.raises(UserError, match=r"void is empty: expected images and masks .*; give"):
        open_dataset(tmp_path / "void")
    with pytest.raises(UserError, match="absent does not exist"):
        open_dataset(tmp_path / "absent")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="file is a file"):
        open_dataset(tmp_path / "file")
    (tmp_path / "bare/images").mkdir(parents=True)
    (tmp_path / "bare/masks").mkdir()
    with pytest.raises(UserError, match="bare holds no image"):
        open_dataset(tmp_path / "bare")


@pytest.mark.parametrize(
    ("name", "mask", "image"),
    [
        ("busi", "benign/benign (1)_mask.png", r"benign \(1\)\.png"),
        ("hc18", "000_HC_Annotation.png", r"000_HC\.png"),
        ("tn3k", "trainval-mask/0000.jpg", r"0000\.jpg"),
        ("nerve", "1_1_mask.tif", r"1_1\.tif"),
        ("plain", "masks/a.bmp", r"a\.png"),
    ],
)
def test_image_without_mask_is_named_with_the_mend(tmp_path: Path, name: str, mask: str, image: str) -> None:
    build(tmp_path, name)
    if name == "busi":  # a second pair, so that the layout stays recognisable
        draw(tmp_path / "benign/benign (2).png")
        draw(tmp_path / "benign/benign (2)_mask.png")
    (tmp_path / mask).unlink()
    with pytest.raises(UserError, match=rf"^Image .*{image} has no mask: expected .*; add the mask"):
        open_dataset(tmp_path)
    lenient = open_dataset(tmp_path, strict=False)
    assert [problem.kind for problem in lenient.problems] == ["missing mask"]


def test_mask_without_image_is_reported_but_does_not_stop(busi: Path, plain: Callable[[int], Path]) -> None:
    (busi / "benign/benign (6).png").unlink()
    problems = open_dataset(busi).problems
    assert [(problem.kind, problem.file, problem.fatal) for problem in problems] == [
        ("missing image", "benign/benign (6)_mask.png", False)
    ]
    root = plain(3)
    (root / "images/scan001.png").unlink()
    assert [problem.file for problem in open_dataset(root).problems] == ["masks/scan001.png"]


def test_files_of_systems_and_hidden_ones_are_not_images(busi: Path) -> None:
    for name in (".DS_Store", "Thumbs.db", "notes.txt", "._benign (1).png"):
        (busi / "benign" / name).write_bytes(b"x")
    assert len(open_dataset(busi)) == 12


@pytest.mark.parametrize(("folder", "others"), [("images", ["a.png", "a.jpg"]), ("masks", ["a.bmp", "a.png"])])
def test_files_that_differ_in_their_suffix_alone_are_refused(tmp_path: Path, folder: str, others: list[str]) -> None:
    """Which mask belongs to which image cannot be told, and neither is left out without a word."""
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
        for stem in ("a", "b"):
            Image.new("L", (16, 12), 255).save(tmp_path / name / f"{stem}.png")
    for name in others:
        Image.new("L", (16, 12), 99).save(tmp_path / folder / name)
    with pytest.raises(
        UserError, match=rf"{folder}/{min(others)} and {folder}/{max(others)} .* differ in their suffixes"
    ):
        open_dataset(tmp_path)
    lenient = open_dataset(tmp_path, strict=False)
    assert [problem.kind for problem in lenient.problems] == ["equal names"]
