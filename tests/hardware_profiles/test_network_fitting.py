"""Prices fitted to whole networks: a runtime whose prices are known, what little data may move, what is refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ussearch.hardware_profiles import Kernel
from ussearch.hardware_profiles.calibration.networks import CalibrationNetwork
from ussearch.hardware_profiles.latency.cost_features import LAYOUT, Tiles, cost_features
from ussearch.hardware_profiles.latency.kernel_cost_model import CONVOLUTIONS, OTHERS, KernelCostModel, lineage
from ussearch.hardware_profiles.latency.kernel_fitting import MeasuredNetwork
from ussearch.hardware_profiles.latency.network_fitting import charges, class_prices, fit_network_prices
from ussearch.hardware_profiles.latency.roofline import Rates, Roofline
from ussearch.search_spaces import FreeSpace

CLASS = "transposed_conv 2x2 stride 2"
SEEDS = range(90)
UNSEEN = range(90, 110)
FLOOR_MS_PER_MIB = 0.04


def kernels_of(seed: int) -> tuple[Kernel, ...]:
    return CalibrationNetwork("", FreeSpace.standard(64).sample(seed), 64).kernels


def true_ms(kernel: Kernel) -> float:
    """A runtime that anybody could write down: arithmetic by kind of convolution, traffic, a launch; ReLU is fused."""
    per_gmac = {"depthwise_conv": 60.0, "grouped_conv": 20.0}.get(kernel.operator, 4.0)
    unfused = [name for name in kernel.epilogue if name not in {"relu", "relu6"}]
    mib = (kernel.bytes + 2 * len(unfused) * kernel.output_bytes) / 2**20
    return per_gmac * kernel.macs / 1e9 + 0.1 * mib + 0.03 * (1 + len(unfused))


def measured(seeds: Sequence[int], factor: float = 1.0) -> list[MeasuredNetwork]:
    networks = [(seed, kernels_of(seed)) for seed in seeds]
    return [MeasuredNetwork(str(seed), each, factor * sum(map(true_ms, each))) for seed, each in networks]


def fitted(networks: Sequence[MeasuredNetwork], **given: Any) -> KernelCostModel:
    latency_ms = np.array([network.latency_ms for network in networks])
    return fit_network_prices(charges(networks), latency_ms, **given)


def errors(model: KernelCostModel, networks: Sequence[MeasuredNetwork]) -> list[float]:
    return [abs(model.total_ms(network.kernels) / network.latency_ms - 1) for network in networks]


@pytest.fixture(scope="module")
def model() -> KernelCostModel:
    return fitted(measured(SEEDS))


@pytest.fixture(scope="module")
def unseen() -> list[MeasuredNetwork]:
    return measured(UNSEEN)


def test_networks_that_the_fit_has_not_seen_are_predicted(
    model: KernelCostModel, unseen: list[MeasuredNetwork]
) -> None:
    assert float(np.mean(errors(model, unseen))) < 0.06


def test_prices_are_not_negative_and_layout_costs_nothing_beside(model: KernelCostModel) -> None:
    assert all(amount >= 0 for price in model.prices.values() for amount in price.values())
    assert model.prices[LAYOUT] == {} and {CONVOLUTIONS, OTHERS} <= model.prices.keys()


def test_nothing_is_moved_for_less_than_the_memory_takes() -> None:
    prices = fitted(measured(SEEDS), least_ms_per_mib=FLOOR_MS_PER_MIB).prices
    kernels = {name: price for name, price in prices.items() if " behind " not in name and name != LAYOUT}
    assert all(price["mib_in"] >= FLOOR_MS_PER_MIB for price in kernels.values())
    assert any(price["mib_in"] < FLOOR_MS_PER_MIB for name, price in prices.items() if " behind " in name)


def test_ten_networks_of_a_slower_board_are_enough_beside_a_prior(model: KernelCostModel) -> None:
    kit, rest = measured(range(10), factor=5.0), measured(UNSEEN, factor=5.0)
    assert float(np.mean(errors(fitted(kit, prior=model), rest))) < 0.06
    assert float(np.mean(errors(model, rest))) > 0.7


def test_one_network_that_fell_back_to_another_processor_moves_little(unseen: list[MeasuredNetwork]) -> None:
    networks = measured(SEEDS)
    networks[0] = replace(networks[0], latency_ms=20 * networks[0].latency_ms)
    assert float(np.mean(errors(fitted(networks), unseen))) < 0.08


def test_the_order_of_networks_does_not_matter(model: KernelCostModel, unseen: list[MeasuredNetwork]) -> None:
    turned = fitted(measured(list(reversed(SEEDS))))
    for network in unseen:
        assert turned.total_ms(network.kernels) == pytest.approx(model.total_ms(network.kernels), rel=0.02)


def test_a_class_that_nobody_measured_pays_what_the_class_above_it_pays(model: KernelCostModel) -> None:
    seen = next(each for each in kernels_of(0) if each.operator == "depthwise_conv")
    new = replace(seen, window=(13, 13))
    (item,) = cost_features([replace(new, epilogue=(), sources=())])
    assert lineage(item)[0] not in model.prices and model.priced_as(item) == "depthwise_conv"


@pytest.mark.parametrize("bad", [0.0, -1.0, float("nan"), float("inf")])
def test_latencies_that_are_none_are_refused(bad: float) -> None:
    networks = measured(range(3))
    with pytest.raises(ValueError, match="positive"):
        fit_network_prices(charges(networks), np.array([1.0, bad, 2.0]))


@given(
    channels=st.integers(1, 200),
    height=st.integers(1, 70),
    width=st.integers(1, 70),
    tiles=st.tuples(st.integers(1, 64), st.integers(1, 128), st.integers(1, 16)),
)
def test_tiles_are_counted_whole(channels: int, height: int, width: int, tiles: tuple[int, int, int]) -> None:
    output = (1, channels, height, width)
    kernel = Kernel("", "conv", ((1, 8, height, width),), output, 10**9, 4, 1, (), window=(3, 3))
    whole = [
        len(range(0, size, tile)) * tile / size
        for size, tile in zip((channels, height * width, width), tiles, strict=True)
    ]
    named = Tiles(channels=tiles[0], pixels=tiles[1], columns=tiles[2])
    assert named.executed(kernel) == pytest.approx(prod(whole))
    assert named.executed(replace(kernel, operator="depthwise_conv")) == 1.0 == Tiles().executed(kernel)


def test_a_class_that_the_prior_alone_knows_comes_along_where_the_runtime_is_the_same(model: KernelCostModel) -> None:
    kept = [network for network in measured(range(60), factor=3.0) if not any(map(transposed, network.kernels))]
    assert len(kept) > 8
    same, another = (fitted(kept, prior=model, same_runtime=each) for each in (True, False))
    assert CLASS in same.prices
    assert CLASS not in another.prices
    ratio = same.prices[CLASS]["gmacs"] / model.prices[CLASS]["gmacs"]
    assert ratio == pytest.approx(3.0, rel=0.35)


def transposed(kernel: Kernel) -> bool:
    return kernel.operator == "transposed_conv"


def test_a_roofline_becomes_prices_of_classes_that_predict_the_same() -> None:
    roofline = Roofline(
        ms_per_gmac=4,
        ms_per_mib=0.1,
        ms_per_operator=0.03,
        operators={"depthwise_conv": Rates(ms_per_gmac=60, ms_per_mib=0.2, ms_per_operator=0.05)},
        activation_nodes={"relu": 0, "relu6": 0, "silu": 2, "hardswish": 2},
    )
    prices = class_prices(roofline)
    assert prices is not None and class_prices(prices) == prices
    for seed in range(6):
        plain = [replace(kernel, epilogue=kernel.epilogue[:1], sources=()) for kernel in kernels_of(seed)]
        for kernel in plain:
            assert prices.total_ms([kernel]) == pytest.approx(price_of(roofline, kernel), rel=1e-6, abs=1e-9), kernel


def price_of(roofline: Roofline, kernel: Kernel) -> float:
    """A class prices what its kernels do, and the activation behind them apart at the common price."""
    (behind,) = kernel.epilogue or ("",)
    activation = replace(kernel, operator="other", macs=0, bytes=0) if behind else None
    alone = roofline.total_ms([replace(kernel, epilogue=())])
    return alone if activation is None else alone + roofline.total_ms([activation]) - roofline.ms_per_operator


def test_prices_of_terms_that_whole_networks_cannot_tell_are_no_prior() -> None:
    assert class_prices(KernelCostModel(prices={CONVOLUTIONS: {"gmacs_by_8": 1.0}, OTHERS: {}})) is None
