"""YOLOBench: 792 encoder-decoder networks with all their layers, measured on eight devices."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np

from published.tables import Floats, Names, read_rows
from ussearch.hardware_profiles.kernels.kernel import BYTES_PER_ELEMENT, Kernel
from ussearch.hardware_profiles.latency.roofline import MIB, Roofline

COLUMNS = {
    "jetson-nano": "jetson_nano_gpu_onnxruntime_fp32_ms",
    "raspberry-pi-4": "raspberry_pi_4_cpu_onnxruntime_fp32_ms",
    "raspberry-pi-5": "raspberry_pi_5_cpu_onnxruntime_fp32_ms",
    "raspberry-pi-4-tflite": "raspberry_pi_4_cpu_tflite_fp32_ms",
    "i7-openvino": "i7_10875h_cpu_openvino_fp32_ms",
    "rk3588-npu": "rk3588_npu_fp16_ms",
    "vim3-npu": "vim3_npu_int16_ms",
    "a40-tensorrt": "a40_tensorrt_ms",
}
"""Our name of a device with its runtime: its column in the table."""

ARM = {"relu": 0, "relu6": 0, "clip": 0, "leaky_relu": 0, "sigmoid": 0, "tanh": 0, "hardsigmoid": 0}
ALL_FUSED = {**ARM, "prelu": 0, "elu": 0, "silu": 0, "hardswish": 0, "gelu": 0}
NODES = {
    "jetson-nano": {"relu": 1, "silu": 1},
    "raspberry-pi-4": {"relu": 0, "silu": 2},
    "raspberry-pi-5": {"relu": 0, "silu": 2},
    "raspberry-pi-4-tflite": {"relu": 0, "silu": 2},
    "i7-openvino": {"relu": 0, "silu": 0},
    "rk3588-npu": {"relu": 0, "silu": 1},
    "vim3-npu": {"relu": 0, "silu": 1},
    "a40-tensorrt": {"relu": 0, "silu": 0},
}
"""What each runtime executes for an activation behind a kernel (``Roofline.activation_nodes``)."""

TILES = {"raspberry-pi-4-tflite": 16, "i7-openvino": 16, "a40-tensorrt": 256}
"""Output pixels that a convolution computes at a time, where whole tiles explain the measurements better."""

OPERATORS = {"maxpool2d": "max_pool", "concat": "concat", "upsample": "resize_nearest", "tconv": "transposed_conv"}


@dataclass(frozen=True)
class Bench:
    """All networks and what was measured: latencies are NaN where a device has no measurement.

    ``classes`` [networks, charges] counts, for each class of kernels, arithmetic, traffic of activations, traffic of
    weights and launches: what a model of another device is fitted to.
    """

    names: tuple[str, ...]
    kernels: tuple[tuple[Kernel, ...], ...]
    resolution: Names
    family: Names
    macs: Floats
    latency_ms: Mapping[str, Floats]
    three: Mapping[str, Floats]
    classes: Floats

    def measured(self, device: str) -> Floats:
        """Return the indices of the networks measured on ``device``."""
        return np.flatnonzero(~np.isnan(self.latency_ms[device]))


@cache
def load(data: Path) -> Bench:
    """Read the tables in ``data``."""
    return _read(data / "yolobench.csv", data / "yolobench_layers.csv.gz")


@cache
def load_256(data: Path) -> Bench:
    """Read the tables of the networks at 256 pixels, which the ten-network protocol leaves out, in ``data``."""
    return _read(data / "yolobench_256.csv", data / "yolobench_256_layers.csv.gz")


def _read(networks: Path, of_layers: Path) -> Bench:
    rows = list(read_rows(networks))
    layers = _kernels(of_layers)
    kernels = tuple(tuple(layers[row["base"], row["resolution"]]) for row in rows)
    return Bench(
        names=tuple(row["network"] for row in rows),
        kernels=kernels,
        resolution=np.array([row["resolution"] for row in rows]),
        family=np.array([row["base"][: len("yolo8")] for row in rows]),
        macs=np.array([sum(kernel.macs for kernel in network) / 1e9 for network in kernels]),
        latency_ms={
            device: np.array([float(row[column]) if row[column] else np.nan for row in rows])
            for device, column in COLUMNS.items()
        },
        three=_three(kernels),
        classes=_class_charges(kernels),
    )


def _three(kernels: Sequence[Sequence[Kernel]]) -> dict[str, Floats]:
    """Return the charges of every device; devices whose runtimes do the same share them."""
    forms = {device: form(device) for device in COLUMNS}
    computed = {str(model): charges(model, kernels) for model in {str(each): each for each in forms.values()}.values()}
    return {device: computed[str(model)] for device, model in forms.items()}


def form(device: str) -> Roofline:
    """Return the roofline of ``device`` without its prices: what it fuses and how large its tiles are."""
    return Roofline(
        ms_per_gmac=0,
        ms_per_mib=0,
        ms_per_operator=0,
        activation_nodes=NODES[device],
        tile_pixels=TILES.get(device, 1),
    )


def charges(model: Roofline, networks: Sequence[Sequence[Kernel]]) -> Floats:
    """Return what ``model`` charges each network for: GMACs, MiB, launches [networks, 3]."""
    return np.array([_network_charges(model, network) for network in networks])


def operator_charges(model: Roofline, networks: Sequence[Sequence[Kernel]], names: Sequence[str]) -> Floats:
    """Return the same for each operator of ``names`` apart [networks, operators, 3]."""
    column = {name: index for index, name in enumerate(names)}
    totals = np.zeros((len(networks), len(names), 3))
    for row, network in zip(totals, networks, strict=True):
        for kernel in network:
            cost = model.cost(kernel)
            row[column[kernel.operator]] += (cost.gmacs, cost.mib, cost.operators)
    return totals


def _network_charges(model: Roofline, network: Sequence[Kernel]) -> list[float]:
    costs = [model.cost(kernel) for kernel in network]
    gmacs, mib = sum(cost.gmacs for cost in costs), sum(cost.mib for cost in costs)
    return [gmacs, mib, float(sum(cost.operators for cost in costs))]


def _kernels(table: Path) -> dict[tuple[str, str], list[Kernel]]:
    """Return the kernels of every network: each layer, with the activation behind it as its epilogue.

    NOTE: the table lists layers in the order of the modules: an activation belongs to the last layer of its size.
    """
    networks: dict[tuple[str, str], list[Kernel]] = defaultdict(list)
    last_of_size: dict[tuple[str, str, str], int] = {}
    for row in read_rows(table):
        kernels = networks[row["base"], row["res"]]
        if row["op"] in {"relu", "silu"}:
            index = last_of_size[row["base"], row["res"], row["in_elems"]]
            kernels[index] = replace(kernels[index], epilogue=(*kernels[index].epilogue, row["op"]))
        else:
            last_of_size[row["base"], row["res"], row["out_elems"]] = len(kernels)
            kernels.append(_kernel(row))
    return networks


def _kernel(row: Mapping[str, str]) -> Kernel:
    """Return the kernel of one row of the table of layers."""
    value = {key: int(row[key]) for key in row if key not in {"base", "op"}}
    operator = OPERATORS.get(row["op"], "pointwise_conv" if value["k"] == 1 else "conv")
    return Kernel(
        name=row["idx"],
        operator=operator,
        input_shapes=((1, value["in_elems"] // (value["hin"] * value["win"]), value["hin"], value["win"]),),
        output_shape=(1, value["out_elems"] // (value["hout"] * value["wout"]), value["hout"], value["wout"]),
        macs=value["macs"],
        bytes=(value["in_elems"] + value["out_elems"] + value["params"]) * BYTES_PER_ELEMENT,
        parameters=value["params"],
        sources=(),
        window=(max(value["k"], 1),) * 2,
        stride=value["stride"],
        groups=value["groups"],
    )


def _class_charges(networks: Sequence[Sequence[Kernel]]) -> Floats:
    """Return what a model with prices for every class of kernels charges for [networks, charges]."""
    counted = [_class_totals(network) for network in networks]
    columns = sorted({column for totals in counted for column in totals})
    return np.array([[totals.get(column, 0.0) for column in columns] for totals in counted])


def _class_totals(network: Sequence[Kernel]) -> dict[tuple[str, str], float]:
    """Return the charges of one network by class and kind.

    Activations are classes of their own, so that a fit finds what a runtime fuses.
    """
    totals: dict[tuple[str, str], float] = defaultdict(float)
    for kernel in network:
        name = f"{kernel.kernel_class} stride {kernel.stride}"
        weights = kernel.parameters * BYTES_PER_ELEMENT
        totals[name, "gmacs"] += kernel.macs / 1e9
        totals[name, "input mib"] += (kernel.bytes - weights - kernel.output_bytes) / MIB
        totals[name, "output mib"] += kernel.output_bytes / MIB
        totals[name, "weight mib"] += weights / MIB
        totals[name, "launches"] += 1
        for activation in kernel.epilogue:
            totals[activation, "mib"] += kernel.output_bytes / MIB
            totals[activation, "launches"] += 1
    return totals
