"""Where recipes are judged: BUSI's training lists and two kinds of phantoms, none of them with an image that tests."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from busi.protocol import open_busi, published_split
from numpy.typing import NDArray

from ussearch.datasets import ImageSet, PhantomParameters, Split, k_folds, phantoms_from, prepare
from ussearch.errors import UserError

SPLITS = (1, 2, 3)
GRID, PHANTOM_GRID = 256, 128
"""Sides of the masks that judge on BUSI and on phantoms, whatever size a network sees."""
TRAINED_ON, JUDGED = 240, 200
EASY = PhantomParameters(
    seed=31,
    lesion_count_weights=(0.1, 0.8, 0.1, 0.0),
    contrast_weights=(1.0, 0.0, 0.0),
    hypoechoic_db=(-25.0, -12.0),
    looks=(3, 4),
)
"""Dark lesions, little speckle."""
HARD = PhantomParameters(
    seed=32,
    lesion_count_weights=(0.1, 0.6, 0.2, 0.1),
    lesion_radius=(0.06, 0.17),
    contrast_weights=(0.8, 0.1, 0.1),
    hypoechoic_db=(-18.0, -7.0),
    edge_width=(0.02, 0.06),
    looks=(1, 1),
    surface_shadows=(0, 2),
    ribs=(0, 2),
)
"""Small lesions of low contrast with soft edges, full speckle, shadows."""


@dataclass(frozen=True)
class Setting:
    """One set of images for one network; ``block`` numbers the design that it gets."""

    name: str
    network: str
    image_size: int
    steps: int
    """Of a training by the former defaults; other recipes last as many seconds."""
    block: int = 0
    split: int | None = None
    phantoms: PhantomParameters | None = None
    weights: str = ""
    """Name of the published weights that the network starts from; empty: from chance."""

    @property
    def family(self) -> str:
        """What is pooled: the kind of images and the network."""
        return self.name.rpartition("-")[0]


@dataclass(frozen=True)
class Material:
    """Images of a setting as the network sees them, who trains, and who judges with which masks and groups."""

    images: ImageSet
    train: tuple[int, ...]
    judged: tuple[int, ...]
    masks: NDArray[np.uint8]
    """[judged, 1, G, G]."""

    @property
    def names(self) -> list[str]:
        """The judged images."""
        return [self.images.ids[index] for index in self.judged]

    @property
    def groups(self) -> list[int]:
        """Numbers of their groups of near-duplicates."""
        return [int(self.images.groups[index]) for index in self.judged]

    @property
    def split(self) -> Split:
        """The training part alone: a training that sees no other images cannot choose by them."""
        return Split.of({"train": self.train}, "ablation", self.images.fingerprint)


SETTINGS = (
    Setting("phantoms-easy", "unext", 64, 300, 4, phantoms=EASY),
    Setting("phantoms-hard", "unext", 64, 400, 5, phantoms=HARD),
    *(Setting(f"busi-unext-{number}", "unext", 64, 500, 5 + number, split=number) for number in SPLITS),
    *(Setting(f"busi-{number}", "lv-unet", 128, 500, number - 1, split=number) for number in SPLITS),
    *(
        Setting(f"busi-lite0-{number}", "efficientnet-lite0-unet", 128, 400, split=number, weights="efficientnet-lite0")
        for number in SPLITS
    ),
)


def material(setting: Setting, data: Path | None, image_size: int) -> Material:
    """Return the images of a setting at a size; raises UserError where BUSI is missing."""
    if setting.phantoms is not None:
        return _phantoms(setting.phantoms, image_size)
    if data is None or setting.split is None:
        raise UserError(f"{setting.name} needs the folder of BUSI: give it with --data.")
    return _busi(data, setting.split, image_size)


def _phantoms(parameters: PhantomParameters, image_size: int) -> Material:
    whole = phantoms_from(parameters.model_copy(update={"count": TRAINED_ON + JUDGED, "image_size": PHANTOM_GRID}))
    images, fine = prepare(whole, image_size), prepare(whole, PHANTOM_GRID)
    judged = tuple(index for index in range(TRAINED_ON, len(images)) if fine.has_lesion[index])
    return Material(images, tuple(range(TRAINED_ON)), judged, np.asarray(fine.masks[list(judged)]))


def _busi(data: Path, number: int, image_size: int) -> Material:
    """Return one published training list, divided; no image of its own test list, and none judged that any list tests.

    Judges are the groups of near-duplicates that no published list tests, dealt to the three splits: each image judges
    in one of them.
    """
    images = open_busi(data, image_size)
    parts = {each: published_split(images, data, each).split for each in SPLITS}
    tested = {index for each in parts.values() for index in each.validation}
    listed = tested.union(*(each.train for each in parts.values()))
    near_tests = set(images.groups[sorted(tested)].tolist())
    never_tested = [index for index in sorted(listed) if int(images.groups[index]) not in near_tests]
    judged = k_folds(images, len(SPLITS), seed=0, within=never_tested)[SPLITS.index(number)].test
    judging_groups = set(images.groups[list(judged)].tolist())
    train = tuple(index for index in parts[number].train if int(images.groups[index]) not in judging_groups)
    refuse_test_images(parts[number], tested, train, judged)
    masks = open_busi(data, GRID).masks[list(judged)]
    return Material(images, train, judged, np.asarray(masks))


def refuse_test_images(own: Split, tested: set[int], train: tuple[int, ...], judged: tuple[int, ...]) -> None:
    """Raise AssertionError where a decision would read an image that tests: the program must not get that far."""
    if not set(train) <= set(own.train) or set(train) & set(own.validation):
        raise AssertionError("a training image is not in the published training list")
    if set(judged) & tested:
        raise AssertionError("a judging image is in a published test list")
    if set(judged) & set(train):
        raise AssertionError("a judging image trains")


def published_material(data: Path, number: int, image_size: int) -> Material:
    """Return a published split as it is, with its test list as the judges: for the last comparison alone."""
    images = open_busi(data, image_size)
    split = published_split(images, data, number).split
    masks = open_busi(data, GRID).masks[list(split.validation)]
    return Material(images, split.train, split.validation, np.asarray(masks))
