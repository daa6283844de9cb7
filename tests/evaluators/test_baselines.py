"""Trivial baselines, judged by the same code as networks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ussearch.datasets import ImageSet, Split
from ussearch.evaluators import trivial_baselines
from ussearch.evaluators.baselines import otsu_level


def test_all_three_are_listed(discs: ImageSet, discs_split: Split) -> None:
    scores = trivial_baselines(discs, discs_split)
    assert list(scores) == ["empty", "mean mask", "Otsu"]
    assert all(len(each.dice) == len(discs_split.validation) for each in scores.values())


def test_empty_looks_as_bad_as_it_is(discs: ImageSet, discs_split: Split) -> None:
    summary = trivial_baselines(discs, discs_split)["empty"].summary
    assert summary["lesion_dice"] == summary["objective"] == 0.0
    assert summary["dice_all"] == pytest.approx(summary["empty_share"])


def test_mean_mask_is_perfect_where_all_masks_are_equal(discs: ImageSet, discs_split: Split) -> None:
    masks = np.zeros_like(discs.masks)
    masks[:, :, 8:20, 8:20] = 1
    equal = replace(discs, masks=masks)
    assert trivial_baselines(equal, discs_split)["mean mask"].summary["lesion_dice"] == 1.0


@pytest.mark.parametrize("invert", [False, True])
def test_otsu_finds_lesions_of_either_brightness(discs: ImageSet, discs_split: Split, invert: bool) -> None:
    images = replace(discs, images=255 - discs.images) if invert else discs
    dice = trivial_baselines(images, discs_split)["Otsu"].summary["lesion_dice"]
    assert dice is not None and dice > 0.5


def test_otsu_level_separates_two_classes_and_maximises_their_distance() -> None:
    image = np.concatenate([np.full(50, 40), np.full(50, 200)]).astype(np.uint8)
    assert 40 <= otsu_level(image) < 200
    random = np.random.default_rng(0)
    image = np.clip(np.concatenate([random.normal(60, 20, 500), random.normal(170, 30, 300)]), 0, 255).astype(np.uint8)

    def within(level: int) -> float:
        low, high = image[image <= level], image[image > level]
        return float(len(low) * low.var() + len(high) * high.var())

    assert within(otsu_level(image)) == pytest.approx(min(within(t) for t in range(image.min(), image.max())))
