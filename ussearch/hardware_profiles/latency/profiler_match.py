"""What a runtime took for each node that it executed, put together with the items of a network.

A runtime names its nodes by its own operators and in its own order. A node and an item belong together where operator,
input and output agree; several of a kind share their sum. What no item explains is left over: changes of layout mostly.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from ussearch.hardware_profiles.kernels.kernel import Shape
from ussearch.hardware_profiles.latency.cost_features import LAYOUT, CostFeature

Signature = tuple[Any, ...]

OPERATORS = {
    "Add": "add",
    "Sum": "add",
    "Mul": "mul",
    "Sub": "sub",
    "Div": "div",
    "Concat": "concat",
    "GlobalAveragePool": "global_pool",
    "GlobalMaxPool": "global_pool",
    "MaxPool": "max_pool",
    "AveragePool": "average_pool",
    "ReduceMean": "reduce",
    "ReduceMax": "reduce",
    "ReduceSum": "reduce",
    "Softmax": "softmax",
    "LayerNormalization": "layer_norm",
    "BatchNormalization": "batch_norm",
    "Transpose": "transpose",
    "Slice": "slice",
    "Split": "split",
    "Pad": "pad",
    "Gather": "gather",
    "MatMul": "matmul",
    "FusedMatMul": "matmul",
    "Gemm": "matmul",
    "Resize": "resize",
    "Upsample": "resize",
    "Relu": "relu",
    "Clip": "relu6",
    "LeakyRelu": "leaky_relu",
    "PRelu": "prelu",
    "Elu": "elu",
    "QuickGelu": "silu",
    "HardSwish": "hardswish",
    "Gelu": "gelu",
    "Sigmoid": "sigmoid",
    "HardSigmoid": "hardsigmoid",
    "Tanh": "tanh",
}
"""onnxruntime's operator to ours."""
CHANNEL_BLOCK = 16
"""onnxruntime pads output channels to the width of its vector registers, at most this many."""


@dataclass(frozen=True)
class ProfiledNode:
    """One executed node: operator, shapes of its inputs (weights too, where they are told) and output, milliseconds."""

    operator: str
    input_shapes: tuple[Shape, ...]
    output_shape: Shape
    ms: float

    @classmethod
    def from_row(cls, row: Sequence[Any]) -> ProfiledNode:
        """Read what ``measure.py`` writes."""
        operator, inputs, output, milliseconds = row
        return cls(str(operator), tuple(tuple(map(int, shape)) for shape in inputs), tuple(output), float(milliseconds))


@dataclass(frozen=True)
class Matched:
    """Items with the milliseconds measured for each, and what no item explains."""

    samples: tuple[tuple[CostFeature, float], ...]
    rest_ms: float


def match_profile(items: Iterable[CostFeature], nodes: Sequence[ProfiledNode]) -> Matched:
    """Give each item the time of the nodes like it; an item without a node was fused and took none."""
    measured: dict[Signature, float] = defaultdict(float)
    for node in nodes:
        measured[_of_node(node)] += node.ms
    groups: dict[Signature, list[CostFeature]] = defaultdict(list)
    for item in items:
        if item.name != LAYOUT:
            groups[_of_item(item)].append(item)
    samples = [(item, measured[key] / len(group)) for key, group in groups.items() for item in group]
    rest_ms = sum(milliseconds for key, milliseconds in measured.items() if key not in groups)
    return Matched(tuple(samples), rest_ms)


def _of_item(item: CostFeature) -> Signature:
    name = item.name.split(" ")[0]
    if name == "transposed_conv":
        return _convolution(name, item.input_shape, None, item.output_shape)
    if name.endswith("conv"):
        plain = "pointwise_conv" if prod(item.window) == 1 else "conv"
        kind = plain if name == "dynamic_conv" else name
        return _convolution(kind, item.input_shape, item.window, item.output_shape)
    name = "resize" if name.startswith("resize") else "relu6" if name == "clip" else name
    return name, item.output_shape


def _of_node(node: ProfiledNode) -> Signature:
    if node.operator.endswith("ConvTranspose"):
        return _convolution("transposed_conv", node.input_shapes[0], None, node.output_shape)
    if node.operator.endswith("Conv") and len(node.input_shapes) > 1:
        image, weight = node.input_shapes[:2]
        groups = max(1, image[1] // weight[1]) if weight[1] else 1
        window = weight[2:]
        plain = "pointwise_conv" if prod(window) == 1 else "conv"
        kind = plain if groups == 1 else "depthwise_conv" if weight[1] == 1 else "grouped_conv"
        return _convolution(kind, image, window, node.output_shape)
    return OPERATORS.get(node.operator, node.operator), node.output_shape


def _convolution(kind: str, image: Shape, window: Shape | None, output: Shape) -> Signature:
    padded = -(-output[1] // CHANNEL_BLOCK) if len(output) > 1 else 0
    return kind, image, window, padded, output[2:]
