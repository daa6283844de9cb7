"""Calibration images of every kind."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ussearch.compress.quantisation import calibration_images
from ussearch.errors import UserError


def masks_of(areas: list[int]) -> np.ndarray:
    masks = np.zeros((len(areas), 1, 16, 16), np.uint8)
    for mask, area in zip(masks, areas, strict=True):
        mask.reshape(-1)[:area] = 1
    return masks


@given(areas=st.lists(st.integers(0, 200), min_size=1, max_size=60), count=st.integers(1, 80), seed=st.integers(0, 99))
def test_indices_are_valid_distinct_and_repeatable(areas: list[int], count: int, seed: int) -> None:
    chosen = calibration_images(masks_of(areas), count, seed)
    assert len(chosen) == min(count, len(areas))
    assert sorted(set(chosen.tolist())) == chosen.tolist()
    assert set(chosen.tolist()) <= set(range(len(areas)))
    assert chosen.tolist() == calibration_images(masks_of(areas), count, seed).tolist()


def test_rare_kinds_are_among_them() -> None:
    """Five empty images and five tiny lesions among a thousand ordinary ones."""
    areas = [0] * 5 + [1] * 5 + list(np.random.default_rng(0).integers(50, 200, 990))
    order = np.random.default_rng(1).permutation(1000)
    areas = [areas[i] for i in order]
    chosen = np.array(areas)[calibration_images(masks_of(areas), 100, seed=3)]
    assert np.count_nonzero(chosen == 0) == 5
    small, large = np.quantile([area for area in areas if area], [1 / 3, 2 / 3])
    assert np.count_nonzero((chosen > 0) & (chosen <= small)) >= 30
    assert np.count_nonzero(chosen >= large) >= 30


def test_seeds_differ() -> None:
    masks = masks_of(list(range(100)))
    assert calibration_images(masks, 20, 0).tolist() != calibration_images(masks, 20, 1).tolist()


def test_none_is_refused() -> None:
    with pytest.raises(UserError, match="0 of 3"):
        calibration_images(masks_of([1, 2, 3]), 0, 0)
    with pytest.raises(UserError, match="of 0"):
        calibration_images(masks_of([]), 10, 0)
