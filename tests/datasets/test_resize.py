"""The filter of the edge runtime against Pillow, and what any resampling must keep."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ussearch.datasets import resize_image, resize_mask
from ussearch.runtime.geometry import triangle_weights

side = st.integers(1, 70)


@settings(max_examples=60, deadline=None)
@given(side, side, side, side, st.integers(0, 2**31))
def test_agrees_with_pillow(height: int, width: int, new_height: int, new_width: int, seed: int) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)
    # Pillow rounds after each pass, hence up to two levels
    expected = np.asarray(Image.fromarray(image).resize((new_width, new_height), Image.Resampling.BILINEAR))
    ours = resize_image(image, new_height, new_width)
    assert ours.dtype == np.uint8
    assert np.abs(ours.astype(int) - expected).max() <= 1


@given(side, side)
def test_weights_average(source: int, target: int) -> None:
    weights = triangle_weights(source, target)
    assert weights.shape == (target, source)
    assert np.allclose(weights.sum(axis=1), 1) and (weights >= 0).all()


def test_same_size_changes_nothing_and_constants_stay() -> None:
    image = np.random.default_rng(0).integers(0, 256, (31, 17), dtype=np.uint8)
    assert np.array_equal(resize_image(image, 31, 17), image)
    assert np.unique(resize_image(np.full((31, 17), 77, np.uint8), 64, 64)).tolist() == [77]


@pytest.mark.parametrize("target", [32, 64, 200])
def test_mask_keeps_its_area(target: int) -> None:
    rows, columns = np.mgrid[:100, :120]
    mask = (((rows - 50) / 30) ** 2 + ((columns - 60) / 40) ** 2 < 1).astype(np.uint8)
    small = resize_mask(mask, target, target)
    assert set(np.unique(small)) <= {0, 1}
    assert small.mean() == pytest.approx(mask.mean(), rel=0.03)
