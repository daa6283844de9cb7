from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import lsq_linear

from ussearch.hardware_profiles import Kernel, Roofline
from ussearch.hardware_profiles.latency.cross_validation import factor_of_nine_in_ten, iso_mac_accuracy, quality
from ussearch.hardware_profiles.latency.roofline import fit_non_negative, fit_shrunk


@given(weights=st.tuples(*[st.floats(0.01, 100)] * 3), seed=st.integers(0, 100))
def test_exact_data_gives_its_weights_back(weights: tuple[float, ...], seed: int) -> None:
    features = np.random.default_rng(seed).uniform(0.1, 10, (12, 3)) * (1, 1000, 0.001)
    assert fit_non_negative(features, features @ np.array(weights)) == pytest.approx(weights, rel=1e-6)


@given(seed=st.integers(0, 200))
def test_any_data_gives_the_best_non_negative_weights_for_relative_errors(seed: int) -> None:
    random = np.random.default_rng(seed)
    features, latency_ms = random.uniform(0.1, 10, (8, 3)), random.uniform(0.1, 100, 8)
    weights = fit_non_negative(features, latency_ms)
    reference = lsq_linear(features / latency_ms[:, None], np.ones(8), bounds=(0, np.inf), tol=1e-14).x
    assert (weights >= 0).all()
    assert weights == pytest.approx(reference, abs=1e-5)


@pytest.mark.parametrize("latency_ms", [[1.0, 0.0], [1.0, -2.0], [1.0, np.nan], [1.0, np.inf]])
def test_impossible_latencies_are_refused(latency_ms: list[float]) -> None:
    with pytest.raises(ValueError, match="positive"):
        fit_non_negative(np.ones((2, 1)), np.array(latency_ms))


def test_quality_of_a_prediction_by_hand() -> None:
    measured, predicted = np.array([10.0, 20.0, 40.0]), np.array([11.0, 18.0, 60.0])
    result = quality(predicted, measured, np.array([1.0, 1.1, 4.0]))
    assert result.tau == 1
    assert result.mape == pytest.approx(100 * (0.1 + 0.1 + 0.5) / 3)
    assert result.iso_mac_accuracy == 1  # only the first two have like MACs


def test_iso_mac_pairs_by_hand() -> None:
    macs, measured = np.array([1.0, 1.1, 1.0, 1.0]), np.array([10.0, 20.0, 10.1, 30.0])
    # pairs of like MACs and unlike latency: 0-1, 0-3, 1-2, 1-3, 2-3; the prediction inverts 1-3
    assert iso_mac_accuracy(np.array([1.0, 5.0, 1.0, 4.0]), measured, macs) == pytest.approx(4 / 5)
    assert np.isnan(iso_mac_accuracy(measured[:1], measured[:1], macs[:1]))


@given(seed=st.integers(0, 50))
def test_no_weight_falls_below_the_least(seed: int) -> None:
    random = np.random.default_rng(seed)
    features, latency_ms = random.uniform(0.1, 10, (8, 3)), random.uniform(0.1, 100, 8)
    least = np.array([0.0, 0.5, 0.0])
    weights = fit_non_negative(features, latency_ms, least)
    reference = lsq_linear(features / latency_ms[:, None], np.ones(8), bounds=(least, np.inf), tol=1e-14).x
    assert weights == pytest.approx(reference, abs=1e-5)


def test_groups_keep_the_common_prices_unless_they_say_otherwise() -> None:
    random = np.random.default_rng(0)
    features = random.uniform(0.1, 10, (60, 3, 3))
    features[:, 2] = 0  # never measured
    prices = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [0.0, 0.0, 0.0]])
    latency_ms = (features * prices).sum(axis=(1, 2))
    common, own = fit_shrunk(features, latency_ms, strength=1e-6)
    assert own[:2] == pytest.approx(prices[:2], rel=1e-3)
    assert (own[2] == common).all()
    assert common == pytest.approx(fit_non_negative(features.sum(axis=1), latency_ms))
    _, drawn = fit_shrunk(features, latency_ms, strength=1e6)
    assert drawn == pytest.approx(np.tile(common, (3, 1)), rel=1e-3)


def test_nine_in_ten_predictions_lie_within_the_factor() -> None:
    measured = np.ones(11)
    predicted = np.array([1.0] * 9 + [0.5, 4.0])
    assert factor_of_nine_in_ten(predicted, measured) == pytest.approx(2)


def test_a_tile_that_is_filled_in_part_costs_a_whole_one() -> None:
    def charged(side: int, tile: int) -> float:
        model = Roofline(ms_per_gmac=1, ms_per_mib=0, ms_per_operator=0, tile_pixels=tile)
        shape = (1, 4, side, side)
        kernel = Kernel("", "conv", (shape,), shape, macs=10**9 * side**2, bytes=0, parameters=0, sources=())
        return model.total_ms([kernel])

    assert charged(16, 128) == pytest.approx(256)
    assert charged(12, 128) == pytest.approx(256)
    assert charged(12, 1) == pytest.approx(144)
