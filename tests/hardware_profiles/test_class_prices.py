"""Published measurements of networks like those that are searched, predicted where their families are left out."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ussearch.hardware_profiles import load_profile

if TYPE_CHECKING:
    from published.fits import Fits

ROOT = Path(__file__).resolve().parents[2]
TABLE = ROOT / "benchmarks" / "data" / "latency_networks.csv"


pytestmark = pytest.mark.usefixtures("benchmarks_importable")


@pytest.fixture(scope="module")
def fits(shared: Path) -> Fits:
    from published.fits import Fits

    return Fits(shared)


@pytest.mark.shared
def test_fast_scnn_has_the_layers_of_its_log(fits: Fits) -> None:
    from published.runtimes import TENSORRT_16

    table = fits.measured(TENSORRT_16)
    (network,) = (each for each in table.networks if each.name == "fast_scnn_384x384")
    operators = [kernel.operator for kernel in network.kernels]
    assert operators.count("depthwise_conv") == 14
    assert sum(each.endswith("conv") for each in operators) == 45
    assert operators.count("resize_bilinear") == 6


@pytest.mark.slow
@pytest.mark.shared
def test_boards_with_few_networks_are_predicted(fits: Fits) -> None:
    from published.class_gates import median_factor
    from published.runtimes import RUY_32, TENSORRT_16

    for name, must in ((RUY_32, 1.1), (TENSORRT_16, 1.15)):
        assert median_factor(fits.left_out(name), fits.measured(name).latency_ms) < must


@pytest.mark.shared
def test_small_profiles_ship_what_the_program_fits(fits: Fits) -> None:
    from published.class_profiles import shipped
    from published.runtimes import RUY_8, RUY_32

    for name in (RUY_32, RUY_8):
        found, profile = shipped(fits, name), load_profile(name)
        assert found.validation is not None and profile.validation is not None
        fitted, ships = found.validation.model_dump(), profile.validation.model_dump()
        for accuracy in ("accuracy", "macs_only"):  # fitted anew: the processor decides the last of four digits
            assert fitted.pop(accuracy) == pytest.approx(ships.pop(accuracy), rel=2e-3), accuracy
        assert fitted.pop("relative_error") == pytest.approx(ships.pop("relative_error"), abs=1.5e-3)
        assert fitted == ships
        assert profile.provenance["latency"].source == found.provenance["latency"]["source"]
        for network in fits.measured(name).networks[::7]:
            expected_ms = found.latency.total_ms(network.kernels)
            assert profile.latency.total_ms(network.kernels) == pytest.approx(expected_ms, rel=1e-3)


@pytest.mark.slow
@pytest.mark.shared
def test_every_profile_ships_what_the_program_fits(fits: Fits) -> None:
    from published.class_profiles import shipped
    from published.runtimes import RUNTIMES

    for name in RUNTIMES:
        found, profile = shipped(fits, name), load_profile(name)
        assert profile.validation is not None
        assert profile.validation.coverage == found.validation.coverage
        assert profile.validation.accuracy.mape == pytest.approx(found.validation.accuracy.mape, rel=0.02)
        for network in fits.measured(name).networks[::25]:
            expected_ms = found.latency.total_ms(network.kernels)
            assert profile.latency.total_ms(network.kernels) == pytest.approx(expected_ms, rel=0.01)


MISSED = {
    f"{device} (default), 200 candidates and the presets at 256 pixels"
    for device in (
        "jetson-nano@onnxruntime-cuda-fp32",
        "raspberry-pi-4@onnxruntime-fp32",
        "raspberry-pi-5@onnxruntime-fp32",
    )
}
"""Nobody published what would cover their classes of kernels: docs/results/latency.md."""


@pytest.mark.slow
@pytest.mark.shared
def test_every_figure_is_reached_but_those_that_lack_data(fits: Fits) -> None:
    from published.class_gates import gates, intervals, kits

    assert {gate.subject for gate in gates(fits) if not gate.passed} <= MISSED
    assert [each for each in intervals(fits) if not 0.85 <= each.inside <= 0.95 and each.networks >= 60] == []
    assert all(kit.fitted_mape < 0.5 * min(kit.prior_mape, kit.scaled_mape * 2) for kit in kits(fits))


@pytest.mark.slow
@pytest.mark.shared
def test_no_prior_has_seen_the_family_that_is_tested(fits: Fits) -> None:
    from published.runtimes import TENSORRT_16, TENSORRT_32

    for family in (
        "efficientdet",
        "mobilenet-v3",
        "convnext",
    ):  # of TensorRT, of it and the prior's prior, of that alone
        assert fits.model(TENSORRT_32, family) != fits.model(TENSORRT_32)
        assert fits.model(TENSORRT_16, family) != fits.model(TENSORRT_16)
    assert fits.model(TENSORRT_16, "nobody's") == fits.model(TENSORRT_16)


def test_every_network_is_listed_once_with_its_family() -> None:
    with TABLE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    keys = [(row["runtime"], row["network"]) for row in rows]
    assert len(keys) == len(set(keys)) > 4000
    assert all(row["family"] and 0.05 < float(row["left_out_over_measured"]) < 20 for row in rows)
