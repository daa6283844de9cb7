"""Kernels read from an exported file against those traced from the network: two ways that share no code."""

from __future__ import annotations

from collections import Counter
from math import prod
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from ussearch.errors import UserError
from ussearch.hardware_profiles import Kernel, load_profile
from ussearch.hardware_profiles.calibration.networks import CalibrationNetwork
from ussearch.hardware_profiles.calibration.profiles import export_networks
from ussearch.hardware_profiles.kernels.onnx_graph import onnx_kernels
from ussearch.search_spaces import FreeSpace, load_preset, preset_names
from ussearch.search_spaces.blocks.shifted_mlp import SHIFTS

SEEDS = [0, 7, 20, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(30, 50))]
PRESETS = [pytest.param(name, marks=() if name == "cmunext-s" else pytest.mark.slow) for name in preset_names()]
LAYOUT = {"split", "slice", "transpose"}
"""The exporter's choice: it writes UNeXt's Split as a Slice a group, and drops a Transpose with its inverse."""


def assert_same(network: CalibrationNetwork, folder: Path) -> None:
    path = export_networks([network], load_profile("x86-server"), folder, lambda _: None)[0]
    found, traced = onnx_kernels(onnx.load(path)), network.kernels
    if network.name == "unext":
        slices, groups = classes(traced)["slice"], len(SHIFTS) * classes(traced)["split"]
        assert classes(found)["slice"] == slices + groups
        found, traced = (tuple(each for each in side if each.operator not in LAYOUT) for side in (found, traced))
    assert classes(found) == classes(traced)
    assert sum(each.macs for each in found) == sum(each.macs for each in traced)
    assert sum(each.bytes for each in found) == pytest.approx(sum(each.bytes for each in traced), rel=1e-3)
    assert activations(found) == activations(traced)


def classes(kernels: tuple[Kernel, ...]) -> Counter[str]:
    """Count classes; a file does not tell a pool that happens to meet its whole map from a global one."""
    pools = {"max_pool", "global_pool"}
    whole = [each.operator in pools and prod(each.output_shape[2:]) == 1 for each in kernels]
    return Counter("pool" if each else kernel.kernel_class for kernel, each in zip(kernels, whole, strict=True))


def activations(kernels: tuple[Kernel, ...]) -> Counter[str]:
    """Count element-wise operators behind kernels; additions of constants may be folded by either side."""
    count = Counter(name for kernel in kernels for name in kernel.epilogue)
    return Counter({name: number for name, number in count.items() if name != "add"})


@pytest.mark.parametrize("seed", SEEDS)
def test_random_architectures(seed: int, tmp_path: Path) -> None:
    assert_same(CalibrationNetwork(f"s{seed}", FreeSpace.standard(64).sample(seed), 64), tmp_path)


@pytest.mark.parametrize("name", PRESETS)
def test_presets(name: str, tmp_path: Path) -> None:
    assert_same(CalibrationNetwork(name, load_preset(name).architecture.for_task(), 128), tmp_path)


def test_an_unknown_operator_is_a_kernel_of_its_own_name() -> None:
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4, 8, 8])
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4, 8, 8])
    node = helper.make_node("LpNormalization", ["x"], ["y"], axis=1, name="odd")
    model = helper.make_model(helper.make_graph([node], "g", [value], [result]))
    (kernel,) = onnx_kernels(model)
    assert kernel.operator == "LpNormalization" and kernel.macs == 0
    assert load_profile("jetson-nano").predict([kernel]).unpriced == ("LpNormalization",)


def test_shapes_that_do_not_fit_are_refused() -> None:
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4, 8, 8])
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4, 8, 8])
    nodes = [helper.make_node("Transpose", ["x"], ["t"], perm=[0, 1]), helper.make_node("Relu", ["t"], ["y"])]
    with pytest.raises(UserError, match="cannot be inferred"):
        onnx_kernels(helper.make_model(helper.make_graph(nodes, "g", [value], [result])))
