from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from ussearch.hardware_profiles import (
    Kernel,
    Roofline,
    activation_peak_mib,
    load_profile,
    peak_memory_mib,
    profile_names,
    trace_kernels,
)
from ussearch.hardware_profiles.latency.cost_features import FEW_CHANNELS
from ussearch.hardware_profiles.profile import MemoryCopies

MODEL = Roofline(ms_per_gmac=10, ms_per_mib=2, ms_per_operator=0.5, activation_nodes={"relu": 0, "silu": 2})


def kernel(shape: tuple[int, ...] = (1, 1, 512, 512), **changes: object) -> Kernel:
    values: dict[str, object] = {
        "name": "a",
        "operator": "conv",
        "input_shapes": (shape,),
        "output_shape": shape,
        "macs": 10**8,
        "bytes": 2**21,
        "parameters": 9,
        "sources": (-1,),
    }
    return Kernel(**{**values, **changes})  # type: ignore[arg-type]


def test_a_kernel_costs_its_macs_its_traffic_and_its_launch() -> None:
    assert MODEL.kernel_ms([kernel()])[0] == pytest.approx(10 * 0.1 + 2 * 2 + 0.5)


@pytest.mark.parametrize(
    ("epilogue", "nodes", "passes"),
    [(("relu",), 0, 0), (("sigmoid",), 1, 2), (("silu",), 2, 5), (("silu", "sigmoid"), 3, 7)],
)
def test_an_activation_costs_what_the_runtime_does_not_fuse(epilogue: tuple[str, ...], nodes: int, passes: int) -> None:
    extra = MODEL.kernel_ms([kernel(epilogue=epilogue)])[0] - MODEL.kernel_ms([kernel()])[0]
    assert extra == pytest.approx(0.5 * nodes + 2 * passes * 1.0)  # the output is 1 MiB


def test_the_kernels_sum_to_the_prediction() -> None:
    kernels = trace_kernels(
        nn.Sequential(nn.Conv2d(1, 8, 3), nn.SiLU(), nn.MaxPool2d(2), nn.Conv2d(8, 1, 1)), (1, 1, 32, 32)
    )
    for name in profile_names():
        prediction = load_profile(name).predict(kernels)
        assert len(prediction.per_kernel_ms) == len(kernels)
        assert sum(prediction.per_kernel_ms) == pytest.approx(prediction.latency_ms)
        assert prediction.latency_ms > 0
        assert name in prediction.label


@settings(max_examples=20)
@given(width=st.integers(FEW_CHANNELS, 12), more=st.integers(1, 8))
def test_a_wider_network_is_never_predicted_faster(width: int, more: int) -> None:
    """From four channels on: what reads fewer is computed in another way, which may be the slower one."""

    def latency_ms(channels: int, name: str) -> float:
        network = nn.Sequential(nn.Conv2d(1, channels, 3), nn.Conv2d(channels, 1, 3))
        return load_profile(name).predict(trace_kernels(network, (1, 1, 16, 16))).latency_ms

    for name in ("jetson-nano", "raspberry-pi-4"):
        assert latency_ms(width + more, name) > latency_ms(width, name)


def test_an_empty_list_costs_nothing() -> None:
    assert MODEL.kernel_ms([]) == ()
    assert activation_peak_mib([]) == 0


def test_the_peak_of_a_chain_is_the_largest_neighbouring_pair_and_the_input() -> None:
    mib = (1, 1, 512, 512)  # 1 MiB
    chain = [
        kernel(mib, output_shape=(1, 4, 512, 512)),
        kernel((1, 4, 512, 512), output_shape=(1, 3, 512, 512), sources=(0,)),
        kernel((1, 3, 512, 512), output_shape=mib, sources=(1,)),
    ]
    assert activation_peak_mib(chain) == 1 + 4 + 3


def test_a_skip_lives_until_it_is_used() -> None:
    mib = (1, 1, 512, 512)
    kernels = [
        kernel(mib, output_shape=(1, 4, 512, 512)),
        kernel((1, 4, 512, 512), output_shape=(1, 2, 512, 512), sources=(0,)),
        kernel((1, 2, 512, 512), output_shape=(1, 2, 512, 512), sources=(1,)),
        kernel(mib, input_shapes=((1, 2, 512, 512), (1, 4, 512, 512)), output_shape=(1, 6, 512, 512), sources=(2, 0)),
    ]
    assert activation_peak_mib(kernels) == 1 + 4 + 2 + 6


def test_peak_memory_is_the_larger_of_loading_and_running() -> None:
    profile = load_profile("jetson-nano").model_copy(
        update={"memory_copies": MemoryCopies(weights=2, activations=3, weights_while_loading=4)}
    )
    small, large = 2**18, 2**20  # parameters: 1 and 4 MiB, beside 2 MiB of activations
    assert activation_peak_mib([kernel()]) == 2
    assert peak_memory_mib([kernel()], small, profile) == profile.runtime_memory_mib + 2 * 1 + 3 * 2
    assert peak_memory_mib([kernel()], large, profile) == profile.runtime_memory_mib + 4 * 4


def test_an_activation_that_cannot_work_in_place_needs_more_tensors() -> None:
    plain, gated = kernel(epilogue=("relu",)), kernel(epilogue=("silu",))
    assert activation_peak_mib([plain]) == 2
    assert activation_peak_mib([gated]) == 4
