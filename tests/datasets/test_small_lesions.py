"""Lesions that vanish at the training size are counted, against regions counted by hand and by scikit-image's rule."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ussearch.datasets import check, open_dataset, prepare
from ussearch.datasets.small_lesions import lesions_lost
from ussearch.runtime.geometry import resize_mask


@settings(max_examples=60, deadline=None)
@given(
    sides=st.lists(st.integers(1, 24), min_size=1, max_size=9),
    scale=st.sampled_from([1, 2, 4, 8]),
)
def test_squares_that_fill_no_half_pixel_vanish(sides: list[int], scale: int) -> None:
    """Squares aligned to the coarse grid: they stay where half of a coarse pixel is lesion, at any side of a block."""
    mask = np.zeros((96, 96), np.uint8)
    for number, side in enumerate(sides):
        row, column = 32 * (number // 3), 32 * (number % 3)
        mask[row : row + side, column : column + side] = 1
    small = resize_mask(mask, 96 // scale, 96 // scale)
    seen = [
        small[32 // scale * (n // 3) :, 32 // scale * (n % 3) :][: 32 // scale, : 32 // scale].any()
        for n in range(len(sides))
    ]
    assert lesions_lost(mask, small) == (len(sides), len(sides) - sum(seen))


def test_nothing_vanishes_at_the_own_size_and_nothing_is_in_an_empty_mask() -> None:
    mask = (np.random.default_rng(0).random((40, 50)) < 0.1).astype(np.uint8)
    assert lesions_lost(mask, mask)[1] == 0
    assert lesions_lost(np.zeros((9, 9), np.uint8), np.zeros((3, 3), np.uint8)) == (0, 0)


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """Six images of 200 x 300: a large lesion, a large and a tiny one, or a tiny one alone."""
    for folder in ("images", "masks"):
        (tmp_path / "data" / folder).mkdir(parents=True)
    for number in range(6):
        noise = np.random.default_rng(number).integers(0, 256, (200, 300), dtype=np.uint8)
        mask = np.zeros((200, 300), np.uint8)
        if number % 3 < 2:
            mask[50:120, 60:160] = 255
        if number % 3 > 0:
            mask[150:153, 200:204] = 255
        Image.fromarray(noise).save(tmp_path / "data/images" / f"{number}.png")
        Image.fromarray(mask).save(tmp_path / "data/masks" / f"{number}.png")
    return tmp_path / "data"


def test_check_and_preparation_count_the_same(tiny: Path) -> None:
    report = check(open_dataset(tiny), image_size=32)
    assert report.vanished is not None and report.empty_masks == 0
    assert (report.vanished.lesions, report.vanished.lost) == (8, 4)
    assert report.vanished.images == ("images/2.png", "images/5.png")
    images = prepare(open_dataset(tiny), 32)
    assert images.lesions is not None and images.lesions.tolist() == [[1, 0], [2, 1], [1, 1]] * 2
    assert check(open_dataset(tiny), image_size=200).vanished.lost == 0  # type: ignore[union-attr]
