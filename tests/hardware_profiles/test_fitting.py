from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import lsq_linear

from ussearch.hardware_profiles import load_profile
from ussearch.hardware_profiles.latency.fitting import fit_non_negative
from ussearch.hardware_profiles.latency.quality import iso_mac_accuracy, quality


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


def program() -> ModuleType:
    path = Path(__file__).resolve().parents[2] / "benchmarks" / "latency.py"
    spec = importlib.util.spec_from_file_location("benchmark_latency", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.shared
def test_the_shipped_numbers_are_those_that_the_program_fits(shared: Path) -> None:
    for name, numbers in program().fit_profiles(shared / "latency").items():
        shipped = load_profile(name).latency
        for key, value in numbers.items():
            assert getattr(shipped, key) == pytest.approx(value, rel=1e-4), (name, key)
