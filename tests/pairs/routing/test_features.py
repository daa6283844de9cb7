from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
import torch

from ussearch.pairs import soft_dice_confidence
from ussearch.pairs.routing.features import Features, feature_names, soft_dice
from ussearch.pairs.routing.samples import flip_agreement, mean_entropy

SIZE = 32
Floats = npt.NDArray[np.float64]


def some_tensors(seed: int, level: float = 0.0) -> tuple[Floats, Floats, Floats]:
    """Image, logits with a blob, and bottleneck, all float64."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:SIZE, :SIZE]
    blob = 6 - np.hypot(y - 14, x - 17) + random.normal(0, 1, (SIZE, SIZE)) + level
    return random.uniform(0, 255, (1, 1, SIZE, SIZE)), blob[None, None], random.normal(0.3, 1, (1, 6, 4, 4))


def blocks(plane: Floats) -> Floats:
    return plane.reshape(SIZE // 4, 4, SIZE // 4, 4).mean(axis=(1, 3))


def by_formula(image: Floats, logits: Floats, bottleneck: Floats) -> dict[str, float]:
    """Every feature once more, in numpy and float64, from what the documentation says."""
    p = 1 / (1 + np.exp(-logits[0, 0]))
    y = (p >= 0.5).astype(float)
    grey = blocks(image[0, 0] / 255)
    border = blocks(y) * (1 - blocks(y))
    padded = np.pad(grey, 1, constant_values=np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3))
    rough = np.abs(grey - np.nanmean(windows, axis=(2, 3))).mean()
    shares = np.array([np.maximum(0, 1 - 7 * np.abs(grey - k / 7)).mean() for k in range(8)])
    magnitude = np.abs(bottleneck[0]).mean(axis=(1, 2))
    return {
        "soft_dice": float(soft_dice_confidence(p[None, None].astype(np.float32))[0]),
        "soft_extent": math.sqrt(p.mean()),
        "foreground_confidence": p[y > 0].mean() if y.any() else 0.0,
        "uncertainty": 4 * (p * (1 - p)).mean(),
        "boundary_uncertainty": 4 * (border * blocks(p * (1 - p))).mean() / (border.mean() + (1 - y.max()) + 1e-4),
        "peak": p.max(),
        "gradient": np.abs(np.diff(grey, axis=0)).mean() + np.abs(np.diff(grey, axis=1)).mean(),
        "roughness": rough,
        "grey_entropy": float(-(shares * np.log(shares + 1e-3)).sum() / math.log(8)),
        "bottleneck_sign": bottleneck.mean() / magnitude.mean(),
        "bottleneck_spread": np.abs(magnitude - magnitude.mean()).mean() / magnitude.mean(),
        "bottleneck_peak": np.abs(bottleneck[0]).max(axis=(1, 2)).mean() / magnitude.mean(),
    }


@pytest.mark.parametrize(("seed", "level"), [(0, 0.0), (1, 4.0), (2, -20.0)])
def test_features_are_what_their_formulas_say(seed: int, level: float) -> None:
    arrays = some_tensors(seed, level)
    expected = by_formula(*arrays)
    found = Features()(*(torch.from_numpy(array.astype(np.float32)) for array in arrays))[0].numpy()
    assert tuple(expected) == feature_names(bottleneck=True)
    np.testing.assert_allclose(found, list(expected.values()), rtol=2e-4, atol=2e-5)


def test_without_a_bottleneck_its_features_are_left_out() -> None:
    image, logits, _ = (torch.from_numpy(array.astype(np.float32)) for array in some_tensors(0))
    assert Features()(image, logits).shape == (1, len(feature_names(bottleneck=False)))


def test_large_maps_are_halved_first() -> None:
    random = np.random.default_rng(0)
    image, logits = (torch.from_numpy(random.normal(0, 3, (1, 1, 256, 256)).astype(np.float32)) for _ in range(2))
    small = [torch.from_numpy(x.numpy().reshape(1, 1, 128, 2, 128, 2).mean(axis=(3, 5))) for x in (image, logits)]
    torch.testing.assert_close(Features()(image, logits), Features()(*small), rtol=1e-4, atol=1e-5)


def test_an_empty_prediction_is_as_sure_as_its_likeliest_pixel() -> None:
    logits = torch.full((1, 1, 8, 8), -9.0)
    logits[0, 0, 3, 3] = -1.0
    assert float(soft_dice(logits)) == pytest.approx(1 - 1 / (1 + math.e), abs=1e-6)


def test_half_precision_holds_every_feature() -> None:
    arrays = [torch.from_numpy(array.astype(np.float32)) for array in some_tensors(3)]
    exact, half = Features()(*arrays), Features()(*(array.half() for array in arrays))
    assert torch.isfinite(half).all()
    np.testing.assert_allclose(half.float().numpy(), exact.numpy(), rtol=0.05, atol=5e-3)


def test_entropy_by_hand() -> None:
    probabilities = np.array([[0.5, 0.5], [0.0, 1.0], [0.25, 0.5]], np.float32).reshape(3, 1, 1, 2)
    quarter = -(0.25 * math.log2(0.25) + 0.75 * math.log2(0.75))
    assert mean_entropy(probabilities) == pytest.approx([1.0, 0.0, (quarter + 1) / 2], abs=1e-6)


def test_flip_agreement_by_hand() -> None:
    probabilities = np.array([[0.9, 0.9, 0.1, 0.1], [0.9, 0.1, 0.1, 0.1], [0.1] * 4], np.float32).reshape(3, 1, 1, 4)
    mirrored = np.array([[0.1, 0.1, 0.9, 0.9], [0.9, 0.1, 0.1, 0.1], [0.1] * 4], np.float32).reshape(3, 1, 1, 4)
    assert flip_agreement(probabilities, mirrored) == pytest.approx([1.0, 0.0, 1.0])
