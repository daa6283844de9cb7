"""Ranges from histograms: against quantiles of the values, and against the divergence computed by loops."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ussearch.compress.quantisation import Quantiser, Settings
from ussearch.compress.quantisation.ranges import (
    BINS,
    LEVELS,
    MAGNITUDES,
    ActivationRanges,
    entropy_range,
    percentile_range,
)

BIN = 2 / BINS


def histogram(values: np.ndarray) -> np.ndarray:
    return np.histogram(values, BINS, range=(-1, 1))[0]


@settings(max_examples=30)
@given(seed=st.integers(0, 10**6), shift=st.floats(-0.5, 0.5))
def test_percentiles_are_quantiles(seed: int, shift: float) -> None:
    values = np.clip(np.random.default_rng(seed).normal(shift, 0.1, 200_000), -1, 1)
    low, high = percentile_range(histogram(values))
    expected = np.quantile(values, [0.00005, 0.99995])
    np.testing.assert_allclose([low, high], expected, atol=2 * BIN)
    assert np.mean((values >= low) & (values <= high)) >= 0.9999


def test_percentiles_keep_what_is_constant() -> None:
    low, high = percentile_range(histogram(np.full(1000, 0.3)))
    assert low <= 0.3 <= high
    assert high - low <= 2 * BIN


def divergence(magnitudes: list[int], bins: int) -> float:
    """The slides of Migacz, in loops: P with the outliers at its end, Q from P without them."""
    p = [float(count) for count in magnitudes[:bins]]
    groups: list[list[int]] = [[] for _ in range(LEVELS)]
    for index in range(bins):
        groups[index * LEVELS // bins].append(index)
    q = [0.0] * bins
    outliers = sum(magnitudes[bins:])
    filled = [count > 0 or (outliers > 0 and index == bins - 1) for index, count in enumerate(p)]
    for group in groups:
        members = [index for index in group if filled[index]]
        for index in members:
            q[index] = sum(p[member] for member in group) / len(members)
    p[-1] += outliers
    total_p, total_q = sum(p), sum(q)
    return sum(
        a / total_p * np.log(a / total_p / max(b / max(total_q, 1), 1e-9)) for a, b in zip(p, q, strict=True) if a > 0
    )


@pytest.mark.parametrize("seed", [0, 1])
def test_entropy_finds_the_smallest_divergence(seed: int) -> None:
    random = np.random.default_rng(seed)
    values = np.clip(0.02 * random.standard_t(3, 400_000), -1, 1)
    low, high = entropy_range(histogram(values))
    magnitudes = np.histogram(np.abs(values), MAGNITUDES, range=(0, 1))[0].tolist()
    candidates = range(LEVELS, MAGNITUDES + 1, 1)
    best = min(candidates, key=lambda bins: divergence(magnitudes, bins))
    assert divergence(magnitudes, round(high * MAGNITUDES)) == pytest.approx(divergence(magnitudes, best), rel=0.02)
    assert low == -high
    assert 0.25 <= high < 0.75, "a long tail is cut off"


def test_entropy_keeps_all_of_a_flat_histogram() -> None:
    assert entropy_range(np.full(BINS, 100)) == (-1.0, 1.0)


def test_methods_nest(small) -> None:
    """Both histograms cut off what the extremes hold, and never more than that."""
    calibration = ActivationRanges(Quantiser(small.path, small.images).prepared, small.images)
    widest = calibration.ranges("minmax")
    for method in ("entropy", "percentile"):
        narrower = calibration.ranges(method)
        assert narrower.keys() == widest.keys()
        assert all(widest[n][0] <= narrower[n][0] <= narrower[n][1] <= widest[n][1] for n in widest)
    assert calibration.ranges("percentile") != widest


def test_one_calibration_serves_every_setting(small, monkeypatch: pytest.MonkeyPatch) -> None:
    quantiser = Quantiser(small.path, small.images)
    quantiser.model(Settings("u8s8", "entropy"))
    monkeypatch.setattr(ActivationRanges, "_activations", lambda self: pytest.fail("the images ran again"))
    quantiser.model(Settings("s8s8", "entropy"))
    quantiser.model(Settings("u8s8", "percentile", frozenset(quantiser.layers[:1])))


def test_a_silent_network_can_be_quantised(small, tmp_path) -> None:
    """Tensors that are zero throughout have no range."""
    model = onnx.load(small.path)
    for tensor in model.graph.initializer:
        if len(tensor.dims) == 4:
            values = onnx.numpy_helper.to_array(tensor)
            tensor.CopyFrom(onnx.numpy_helper.from_array(np.zeros_like(values), tensor.name))
    onnx.save(model, tmp_path / "silent.onnx")
    quantiser = Quantiser(tmp_path / "silent.onnx", small.images)
    for method in ("minmax", "entropy", "percentile"):
        quantiser.write(Settings("u8s8", method), tmp_path / f"{method}.onnx")
        assert np.isfinite(small.logits(tmp_path / f"{method}.onnx")).all()
