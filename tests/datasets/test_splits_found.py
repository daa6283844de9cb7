"""A split that lies in the folder and is not used is told, and nothing else is taken for one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ussearch.datasets import open_dataset
from ussearch.datasets.splits.found import splits_lying_in

NAMES = [f"scan{number:03d}" for number in range(12)]
IMAGES = [f"images/{name}.png" for name in NAMES]


def lists(*names: str) -> dict[str, str]:
    """Return the texts of lists that divide the images, by name."""
    return {name: "\n".join(NAMES[place :: len(names)]) for place, name in enumerate(names)}


FOLDS = [{"train": NAMES[3:], "val": NAMES[:3]}, {"train": NAMES[:9], "val": NAMES[9:]}]
TABLE = [f"{name};{number // 2};{'test' if number > 8 else 'train'}" for number, name in enumerate(NAMES)]
VOC = "ImageSets/Segmentation"


@pytest.mark.parametrize(
    ("files", "found"),
    [
        (lists(f"{VOC}/train.txt", f"{VOC}/val.txt", f"{VOC}/test.txt"), f"{VOC}/train.txt"),
        (lists("train.txt", "test.txt"), "train.txt"),
        (lists("lists/train1.lst", "lists/val1.lst"), "lists/train1.lst"),
        ({"splits_final.json": json.dumps(FOLDS)}, "splits_final.json"),
        ({"split.yaml": json.dumps({"train": IMAGES[:9], "test": IMAGES[9:]})}, "split.yaml"),
        ({"cases.csv": "\n".join(["Bild;Patient;cohort", *TABLE])}, "cases.csv"),
        ({"folds.csv": "\n".join(["image,fold", *(f"{name},{n % 3}" for n, name in enumerate(NAMES))])}, "folds.csv"),
    ],
)
def test_splits_are_told(plain: Callable[[int], Path], files: dict[str, str], found: str) -> None:
    root = plain(len(NAMES))
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    assert splits_lying_in(root) == [root / found]
    (problem,) = open_dataset(root).problems
    assert (problem.kind, problem.file, problem.fatal) == ("split not used", found, False)
    assert problem.message.endswith(f"is used only where it is given: --split-file {root / found}.")


@pytest.mark.parametrize(
    "files",
    [
        lists("train.txt"),  # alone it divides nothing
        {"train.txt": "epoch 1\nepoch 2", "test.txt": "dice 0.8"},
        {"split.json": "{}", "splits.yaml": ": ["},
        {"cases.csv": "\n".join(["image,patient", *(f"{name},{n}" for n, name in enumerate(NAMES))])},
        {"cases.csv": "\n".join(["image,cohort", *(f"{name},train" for name in NAMES)])},
        {"cases.csv": "image,cohort\nother1,train\nother2,test"},
    ],
)
def test_other_files_are_none(plain: Callable[[int], Path], files: dict[str, str]) -> None:
    root = plain(len(NAMES))
    for name, text in files.items():
        (root / name).write_text(text)
    assert splits_lying_in(root) == [] and open_dataset(root).problems == ()


def test_a_split_that_the_data_set_tells_is_enough(plain: Callable[[int], Path]) -> None:
    root = plain(len(NAMES))
    for name, text in lists("train.txt", "test.txt").items():
        (root / name).write_text(text)
    rows = [
        f"{image},masks/{name}.png,{'train' if n else 'test'}"
        for n, (image, name) in enumerate(zip(IMAGES, NAMES, strict=True))
    ]
    (root / "images.csv").write_text("\n".join(["image,mask,split", *rows]))
    assert open_dataset(root).problems == ()
