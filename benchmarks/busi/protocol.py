"""The protocol: which images train and judge, and how IoU is taken."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ussearch.datasets import ImageSet, Split, open_dataset, prepare
from ussearch.datasets.splits.files import read_split_file
from ussearch.errors import UserError
from ussearch.runtime.masks import THRESHOLD, dice_and_iou

BATCH = 8
"""Images over which the protocol pools intersections and unions."""
SMOOTH = 1e-5
"""What the published code adds to both; without it an empty batch would divide by zero."""
Part = Literal["published", "training"]
HELD_OUT = 0.2
"""Share of a training list that judges what is being decided."""
Floats = NDArray[np.float64]
Probabilities = NDArray[np.float32]
Masks = NDArray[np.uint8]


@dataclass(frozen=True)
class Judged:
    """IoU and Dice of each image, [N], in the order of the published list, and IoU pooled over batches."""

    iou: Floats
    dice: Floats
    pooled_iou: float

    @classmethod
    def of(cls, probabilities: Probabilities, masks: Masks) -> Judged:
        """Compare probabilities with masks, both [N, 1, H, W]."""
        predicted, truth = probabilities >= THRESHOLD, masks > 0
        dice, iou = dice_and_iou(predicted, truth)
        return cls(iou, dice, pooled_iou(predicted, truth))


def pooled_iou(predicted: NDArray[np.bool_], truth: NDArray[np.bool_], batch: int = BATCH) -> float:
    """Return the mean over batches, weighted by their images, of the IoU of all pixels of a batch together."""
    total = 0.0
    for start in range(0, len(truth), batch):
        guess, mask = predicted[start : start + batch], truth[start : start + batch]
        common, union = np.count_nonzero(guess & mask), np.count_nonzero(guess | mask)
        total += len(mask) * (common + SMOOTH) / (union + SMOOTH)
    return total / len(truth)


@dataclass(frozen=True)
class BusiSplit:
    """One published split: ``split.validation`` is the list that is reported on, ``order`` its images as listed."""

    images: ImageSet
    split: Split
    order: tuple[int, ...]


def open_busi(data: Path, image_size: int) -> ImageSet:
    """Return BUSI at ``image_size``; raises UserError saying what is missing."""
    missing = [name for name in ("benign", "malignant", "splits") if not (data / name).is_dir()]
    if missing:
        raise UserError(
            f"{data} has no folder {', '.join(missing)}: give the folder of BUSI (Al-Dhabyani et al. 2020) with "
            "--data, with the published lists train1.txt, val1.txt, … in its folder splits."
        )
    return prepare(open_dataset(data, "busi"), image_size)


def published_split(images: ImageSet, data: Path, number: int) -> BusiSplit:
    """Return the published split ``number`` (1 to 3); raises UserError where a list is missing or does not fit."""
    lists = {part: data / "splits" / f"{part}{number}.txt" for part in ("train", "val")}
    for path in lists.values():
        if not path.is_file():
            raise UserError(
                f"{path} does not exist: expected the published lists train{number}.txt and val{number}.txt."
            )
    parts = read_split_file(lists["train"], images).parts
    split = Split.of(
        {"train": parts["train"], "validation": parts["test"]}, f"published split {number}", images.fingerprint
    )
    at = {Path(images.ids[index]).stem: index for index in parts["test"]}
    names = [line.strip() for line in lists["val"].read_text(encoding="utf-8").splitlines() if line.strip()]
    return BusiSplit(images, split, tuple(at[name] for name in names))


def within_training(busi: BusiSplit, number: int) -> BusiSplit:
    """Return a split of the training list alone: what decides must not have seen the published list.

    Groups of near-duplicates stay together, and images that resemble one of the published list are left out.
    """
    groups = busi.images.groups
    published = set(groups[list(busi.split.validation)].tolist())
    inside = [index for index in busi.split.train if groups[index] not in published]
    order = np.random.default_rng([number]).permutation(np.unique(groups[inside]))
    sizes = np.cumsum([np.count_nonzero(groups[inside] == group) for group in order])
    chosen = set(order[: int(np.searchsorted(sizes, HELD_OUT * len(inside))) + 1].tolist())
    judging = [index for index in inside if groups[index] in chosen]
    training = [index for index in inside if groups[index] not in chosen]
    split = Split.of(
        {"train": training, "validation": judging}, f"within training list {number}", busi.images.fingerprint
    )
    return BusiSplit(busi.images, split, tuple(judging))
