"""Prices of kernels, recovered from a device whose prices are known."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.hardware_profiles.test_profiles import minimal
from ussearch.errors import UserError
from ussearch.evaluators.costs import trace
from ussearch.hardware_profiles import Kernel, Profile, Roofline, load_profile, parse_profile
from ussearch.hardware_profiles.calibration.networks import draw_networks
from ussearch.hardware_profiles.latency.cost_features import LAYOUT, TERMS, CostFeature, cost_features
from ussearch.hardware_profiles.latency.cross_validation import choose_model
from ussearch.hardware_profiles.latency.kernel_cost_model import CONVOLUTIONS, OTHERS, KernelCostModel
from ussearch.hardware_profiles.latency.kernel_fitting import MeasuredNetwork, fit_kernel_cost_model
from ussearch.hardware_profiles.latency.profiler_match import OPERATORS, ProfiledNode, match_profile
from ussearch.search_spaces import FreeSpace

NETWORKS = 16
ONNX_NAME = {ours: theirs for theirs, ours in OPERATORS.items()}


@lru_cache
def kernels_of(seed: int) -> tuple[Kernel, ...]:
    return trace(FreeSpace.standard(64).sample(seed), 64).kernels


def true_ms(item: CostFeature) -> float:
    """A device on which ReLU is fused, convolutions cost MACs and loads, and everything else its traffic."""
    term = dict(zip(TERMS, item.terms, strict=True))
    if "relu" in item.name or "clip" in item.name:
        return 0.0
    if item.name.split(" ")[0].endswith("conv") and " behind " not in item.name:
        return 0.01 + 30 * term["gmacs"] + 200 * term["gloads_by_32"]
    return 0.02 + 0.3 * (term["mib_in"] + term["mib_out"])


def node_of(item: CostFeature) -> ProfiledNode:
    """Return the node that a runtime reports for an item."""
    name = item.name.split(" ")[0]
    if name == LAYOUT:
        return ProfiledNode("ReorderOutput", (item.input_shape,), item.output_shape, true_ms(item))
    if name == "transposed_conv":
        return ProfiledNode("ConvTranspose", (item.input_shape,), item.output_shape, true_ms(item))
    if name.endswith("conv"):
        channels = 1 if name == "depthwise_conv" else 2 if name == "grouped_conv" else item.input_shape[1]
        weight = (item.output_shape[1], channels, *item.window)
        return ProfiledNode("Conv", (item.input_shape, weight), item.output_shape, true_ms(item))
    shown = "Resize" if name.startswith("resize") else "Clip" if name == "clip" else ONNX_NAME.get(name, name)
    return ProfiledNode(shown, (item.input_shape,), item.output_shape, true_ms(item))


def measured(seed: int, slower: float = 1.0) -> MeasuredNetwork:
    found = list(cost_features(kernels_of(seed)))
    nodes = tuple(node_of(item) for item in found if true_ms(item))
    return MeasuredNetwork(f"n{seed}", kernels_of(seed), slower * sum(map(true_ms, found)), nodes)


@pytest.fixture(scope="module")
def model() -> KernelCostModel:
    return fit_kernel_cost_model([measured(seed) for seed in range(NETWORKS)])


def test_networks_that_the_fit_has_not_seen_are_predicted(model: KernelCostModel) -> None:
    errors = [model.total_ms(kernels_of(seed)) / measured(seed).latency_ms - 1 for seed in range(50, 65)]
    assert np.abs(errors).mean() < 0.03
    assert np.abs(errors).max() < 0.12


def test_what_the_runtime_fuses_costs_almost_nothing(model: KernelCostModel) -> None:
    fused = [item for seed in range(NETWORKS) for item in cost_features(kernels_of(seed)) if true_ms(item) == 0]
    assert fused
    assert max(model.priced(item) for item in fused) < 0.005


def test_the_time_of_nodes_counts_as_shares_only() -> None:
    twice = fit_kernel_cost_model([measured(seed, slower=2.0) for seed in range(NETWORKS)])
    assert twice.total_ms(kernels_of(50)) == pytest.approx(2 * measured(50).latency_ms, rel=0.1)


def test_what_no_item_explains_is_left_over() -> None:
    network = measured(0)
    matched = match_profile(cost_features(network.kernels), network.nodes)
    layout = sum(true_ms(item) for item in cost_features(network.kernels) if item.name == LAYOUT)
    assert matched.rest_ms == pytest.approx(layout)
    assert sum(ms for _, ms in matched.samples) + matched.rest_ms == pytest.approx(network.latency_ms)


def test_unmeasured_classes_pay_the_general_price(model: KernelCostModel) -> None:
    conv = next(kernel for kernel in kernels_of(0) if kernel.operator == "conv")
    new = replace(conv, operator="deformable_conv", epilogue=(), sources=(-1,))
    prices = {name: model.prices[name] for name in (CONVOLUTIONS, OTHERS, LAYOUT)}
    assert model.kernel_ms([new]) == pytest.approx(KernelCostModel(prices=prices, cache=model.cache).kernel_ms([new]))


@settings(max_examples=15)
@given(seed=st.integers(0, 200), factor=st.floats(0.1, 10))
def test_prices_are_never_negative_and_scale(seed: int, factor: float) -> None:
    known = fit_kernel_prices_once()
    milliseconds = known.kernel_ms(kernels_of(seed))
    assert min(milliseconds) >= 0
    assert known.times(factor).total_ms(kernels_of(seed)) == pytest.approx(factor * known.total_ms(kernels_of(seed)))


@lru_cache
def fit_kernel_prices_once() -> KernelCostModel:
    return fit_kernel_cost_model([measured(seed) for seed in range(8)])


def test_networks_without_nodes_are_refused() -> None:
    with pytest.raises(ValueError, match="time of every node"):
        fit_kernel_cost_model([replace(measured(0), nodes=())])


def test_cross_validation_prefers_prices_of_kernels_where_they_are_right() -> None:
    like = load_profile("x86-server").latency
    chosen = choose_model([measured(seed) for seed in range(18)], like, "made up")
    assert chosen.name.startswith("prices of kernels"), "trees may correct them"
    assert chosen.errors["prices of kernels"] < chosen.errors["three numbers"] < chosen.errors["MACs alone"]
    assert chosen.validation.accuracy.spearman is not None and chosen.validation.accuracy.spearman > 0.98
    assert "depthwise_conv 3x3" in chosen.validation.covered


def test_without_nodes_a_roofline_is_chosen() -> None:
    truth = Roofline(ms_per_gmac=50, ms_per_mib=0.2, ms_per_operator=0.03)
    networks = [MeasuredNetwork(f"n{seed}", kernels_of(seed), truth.total_ms(kernels_of(seed))) for seed in range(14)]
    chosen = choose_model(networks, Roofline(ms_per_gmac=1, ms_per_mib=1, ms_per_operator=1), "made up")
    assert chosen.name == "three numbers"
    assert chosen.errors["three numbers"] < 0.1
    assert chosen.model.total_ms(kernels_of(99)) == pytest.approx(truth.total_ms(kernels_of(99)), rel=1e-3)


def test_a_profile_with_prices_survives_being_written(model: KernelCostModel) -> None:
    profile = Profile.model_validate(minimal(latency=model.model_dump()))
    again = parse_profile(profile.to_yaml(), "copy")
    assert again == profile
    assert again.predict(kernels_of(3)).latency_ms == pytest.approx(model.total_ms(kernels_of(3)))


@pytest.mark.parametrize(
    ("like", "board", "expected"),
    [
        ("jetson-nano", "jetson-nano@tensorrt-fp16", {"prices of classes"}),
        ("jetson-nano", "jetson-nano", {"the device it is like, scaled"}),
        ("jetson-nano", "raspberry-pi-4", {"three numbers", "prices of classes"}),
    ],
)
def test_ten_networks_choose_the_model_that_foretells_others(like: str, board: str, expected: set[str]) -> None:
    """Boards whose prices are known, 1.3 times as slow and measured within five per cent."""
    profile, truth = load_profile(like), load_profile(board).latency.times(1.3)
    noise = np.random.default_rng(0)
    kit = [
        MeasuredNetwork(each.name, each.kernels, truth.total_ms(each.kernels) * float(np.exp(noise.normal(0, 0.05))))
        for each in draw_networks(10, 0, profile)
    ]
    chosen = choose_model(kit, profile.latency, "made up")
    assert chosen.name in expected
    assert chosen.errors[chosen.name] < chosen.errors["MACs alone"]
    others = [each.kernels for each in draw_networks(12, 5, profile)]
    ratios = [chosen.model.total_ms(kernels) / truth.total_ms(kernels) for kernels in others]
    assert np.mean(np.abs(np.array(ratios) - 1)) < 0.16


def test_one_odd_network_does_not_decide() -> None:
    truth = Roofline(ms_per_gmac=50, ms_per_mib=0.2, ms_per_operator=0.03)
    networks = [MeasuredNetwork(f"n{seed}", kernels_of(seed), truth.total_ms(kernels_of(seed))) for seed in range(14)]
    networks[3] = replace(networks[3], latency_ms=9 * networks[3].latency_ms)
    chosen = choose_model(networks, Roofline(ms_per_gmac=1, ms_per_mib=1, ms_per_operator=1), "made up")
    assert chosen.name == "three numbers"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"prices": {"any other": {"launch": 1}}}, "no price of any convolution"),
        ({"prices": {}}, "no price of any convolution and of any other"),
        ({"prices": {"any other": {}, "any convolution": {"joules": 1}}}, "no such term: joules"),
        ({"prices": {"any other": {}, "any convolution": {"launch": -1}}}, "greater than or equal to 0"),
        ({"tiles": {"pixels": 0}}, "greater than or equal to 1"),
    ],
)
def test_prices_by_which_kernels_would_be_free_are_refused(change: dict[str, Any], expected: str) -> None:
    latency = {"kind": "kernels", "prices": {"any other": {}, "any convolution": {"launch": 1}}, **change}
    with pytest.raises(UserError, match=expected):
        parse_profile(yaml.safe_dump(minimal(latency=latency)), "mine.yaml")
