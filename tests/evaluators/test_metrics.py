"""Metrics against independent references: sklearn, MONAI, formulas by hand."""

from __future__ import annotations

import math
import time

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ussearch.evaluators import objective_of, score
from ussearch.evaluators.metrics.scores import CONVENTION
from ussearch.evaluators.metrics.segmentation import detect, hausdorff95, outline, pixel_auc
from ussearch.runtime.masks import dice_and_iou

SIZE = 24


def blobs(seed: int, size: int = SIZE, density: float = 0.5) -> npt.NDArray[np.bool_]:
    """Return a smooth random mask."""
    from scipy.ndimage import gaussian_filter

    field = gaussian_filter(np.random.default_rng(seed).normal(size=(size, size)), 2.0)
    return np.asarray(field > np.quantile(field, 1 - density))


def as_batch(*masks: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
    return np.stack(masks)[:, None].astype(np.uint8)


@given(st.integers(0, 10**6), st.sampled_from([0.02, 0.2, 0.6]), st.sampled_from([0.02, 0.3, 0.9]))
def test_dice_and_iou_follow_their_definitions(seed: int, first: float, second: float) -> None:
    a, b = blobs(seed, density=first), blobs(seed + 1, density=second)
    dice, iou = dice_and_iou(a[None], b[None])
    common, union = (a & b).sum(), (a | b).sum()
    assert iou[0] == pytest.approx(common / union)
    assert dice[0] == pytest.approx(2 * iou[0] / (1 + iou[0]))


@given(st.integers(0, 10**6), st.sampled_from([2, 7, 1000]))
def test_auc_equals_sklearn_with_ties(seed: int, levels: int) -> None:
    from sklearn.metrics import roc_auc_score

    random = np.random.default_rng(seed)
    values = (random.integers(0, levels, (SIZE, SIZE)) / levels).astype(np.float32)
    mask = random.random((SIZE, SIZE)) < 0.2
    assert pixel_auc(values, mask) == pytest.approx(roc_auc_score(mask.ravel(), values.ravel()), abs=1e-12)


def test_auc_of_one_class_is_undefined() -> None:
    values = np.zeros((4, 4), np.float32)
    assert math.isnan(pixel_auc(values, np.zeros((4, 4), bool)))
    assert math.isnan(pixel_auc(values, np.ones((4, 4), bool)))


@given(st.integers(0, 10**6), st.sampled_from([0.03, 0.3, 0.8]))
def test_hd95_equals_monai(seed: int, density: float) -> None:
    import torch
    from monai.metrics.hausdorff_distance import compute_hausdorff_distance

    a, b = blobs(seed, density=density), blobs(seed + 1, density=0.3)
    first, second = (torch.from_numpy(mask[None, None].astype(np.float32)) for mask in (a, b))
    expected = compute_hausdorff_distance(first, second, include_background=True, percentile=95)
    assert hausdorff95(a, b) == pytest.approx(float(expected), abs=1e-5)


@given(st.integers(0, 10**6), st.floats(0.05, 2), st.floats(0.05, 2))
def test_hd95_in_mm_equals_monai(seed: int, height_mm: float, width_mm: float) -> None:
    import torch
    from monai.metrics.hausdorff_distance import compute_hausdorff_distance

    a, b = blobs(seed, density=0.3), blobs(seed + 1, density=0.3)
    first, second = (torch.from_numpy(mask[None, None].astype(np.float32)) for mask in (a, b))
    sides = [height_mm, width_mm]
    expected = compute_hausdorff_distance(first, second, include_background=True, percentile=95, spacing=sides)
    assert hausdorff95(a, b, (height_mm, width_mm)) == pytest.approx(float(expected), rel=1e-4)


def test_distances_in_mm_are_of_the_images_that_tell_their_pixels() -> None:
    lesion, moved, empty = np.zeros((40, 40), bool), np.zeros((40, 40), bool), np.zeros((40, 40), bool)
    lesion[5:15, 5:15], moved[8:18, 5:15] = True, True
    masks, guesses = as_batch(lesion, lesion, empty), as_batch(moved, moved, empty).astype(np.float32)
    spacing = np.array([[0.5, 0.1], [np.nan, np.nan], [0.2, 0.2]])
    found = score(guesses, masks, spacing_mm=spacing)
    assert found.hd95_mm is not None
    assert found.hd95_mm[[0, 2]].tolist() == pytest.approx([1.5, 0.0]) and np.isnan(found.hd95_mm[1])
    assert found.summary["hd95_mm"] == pytest.approx(1.5) and found.summary["hd95"] == pytest.approx(3.0)
    for unknown in (None, np.full((3, 2), np.nan)):
        assert "hd95_mm" not in score(guesses, masks, spacing_mm=unknown).summary


def test_outline_counts_the_border_of_the_image() -> None:
    assert outline(np.ones((4, 4), bool)).sum() == 12


def test_empty_masks_follow_the_stated_convention() -> None:
    empty, lesion = np.zeros((30, 40), bool), np.zeros((30, 40), bool)
    lesion[5:9, 5:9] = True
    masks = as_batch(empty, empty, lesion, lesion)
    guesses = as_batch(empty, lesion, empty, lesion).astype(np.float32)
    scores = score(guesses, masks)
    assert scores.dice.tolist() == [1, 0, 0, 1] == scores.iou.tolist()
    assert scores.hd95.tolist() == [0, 50, 50, 0]
    assert np.isnan(scores.auc).tolist() == [True, True, False, False]
    for words in ("both masks empty counts 1", "both empty 0", "diagonal", "only for images with a lesion"):
        assert words in CONVENTION


def test_summary_separates_lesions_and_empty_images() -> None:
    empty, lesion = np.zeros((8, 8), bool), np.zeros((8, 8), bool)
    lesion[2:6, 2:6] = True
    half = lesion.copy()
    half[2:4] = False
    masks = as_batch(lesion, lesion, empty, empty)
    summary = score(as_batch(lesion, half, empty, half).astype(np.float32), masks).summary
    assert summary["lesion_dice"] == pytest.approx((1 + 2 / 3) / 2)
    assert summary["lesion_dice_sd"] == pytest.approx(np.std([1, 2 / 3], ddof=1))
    assert summary["lesion_dice_p50"] == pytest.approx((1 + 2 / 3) / 2)
    assert summary["dice_all"] == pytest.approx((1 + 2 / 3 + 1 + 0) / 4)
    assert summary["false_positive_rate"] == 0.5 and summary["empty_share"] == 0.5
    assert summary["objective"] == pytest.approx((1 + 2 / 3) / 2 - 0.25)


def test_summary_without_empty_images_has_no_false_positive_rate() -> None:
    summary = score(np.ones((1, 1, 4, 4), np.float32), np.ones((1, 1, 4, 4), np.uint8)).summary
    assert summary["false_positive_rate"] is None and summary["objective"] == 1.0
    assert summary["auc"] is None and summary["auc_sd"] is None


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 0.99))
def test_an_always_empty_predictor_is_chosen_last(dice: float, rate: float, share: float) -> None:
    assert objective_of(0.0, 0.0, share) == 0.0
    assert objective_of(dice, rate, share) <= objective_of(dice, 0.0, share)


def test_detect_agrees_with_the_summary() -> None:
    masks = as_batch(blobs(1), np.zeros((SIZE, SIZE), bool), blobs(2))
    guesses = as_batch(blobs(3), blobs(4), blobs(2)).astype(np.float32)
    summary, quick = score(guesses, masks).summary, detect(guesses, masks)
    for name, value in quick._asdict().items():
        assert summary[name] == pytest.approx(value)


def test_score_refuses_other_shapes() -> None:
    with pytest.raises(ValueError, match="differ in shape"):
        score(np.zeros((1, 1, 4, 4), np.float32), np.zeros((1, 1, 8, 8), np.uint8))


def test_two_hundred_images_take_less_than_two_seconds() -> None:
    random = np.random.default_rng(0)
    masks = as_batch(*(blobs(seed, 128, 0.1) for seed in range(8))).repeat(25, axis=0)
    noisy = np.clip(masks * 0.6 + random.normal(0.1, 0.25, masks.shape), 0, 1).astype(np.float32)
    score(noisy[:1], masks[:1])
    start = time.process_time()
    score(noisy, masks)
    assert time.process_time() - start < 2.0
