"""Rules of TensorRT 8's parser (Jetson boards). Source: onnx/onnx-tensorrt, branches 8.0-GA and 8.2-GA,
docs/operators.md and importers.
"""

from __future__ import annotations

from collections.abc import Iterator

import onnx

from ussearch.hardware_profiles.onnx_files.rules.rule import Violation, rule
from ussearch.hardware_profiles.onnx_files.rules.view import (
    ModelView,
    attribute_text,
    input_name,
    node_name,
)
from ussearch.hardware_profiles.profile import Profile

CONSTANT_INPUTS: dict[str, dict[int, str]] = {
    "Clip": {1: "min", 2: "max"},
    "Conv": {2: "bias"},
    "ConvTranspose": {2: "bias"},
    "CumSum": {1: "axis"},
    "InstanceNormalization": {1: "scale", 2: "bias"},
    "ReduceSum": {1: "axes"},
    "Slice": {3: "axes"},
    "Squeeze": {1: "axes"},
    "TopK": {1: "K"},
    "Unsqueeze": {1: "axes"},
}
"""Inputs, by operator and position, that the importer takes as weights: initializers or Constant nodes."""

RANKS = {
    **dict.fromkeys(("Conv", "ConvTranspose", "MaxPool", "AveragePool"), (4, 5)),
    "InstanceNormalization": (3, 5),
}
"""Least and most dimensions of the first input: windows are 2-D or 3-D."""

COORDINATES = frozenset({"half_pixel", "pytorch_half_pixel", "tf_half_pixel_for_nn", "asymmetric", "align_corners"})
NEWER_RESIZE = ("antialias", "axes", "keep_aspect_ratio_policy")
ORDER_OPERATORS = frozenset({"ArgMax", "ArgMin", "TopK"})
RESHAPING = frozenset({"Cast", "Identity", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Transpose"})


@rule("constant_inputs", "tensorrt-8")
def constant_inputs(view: ModelView, profile: Profile) -> Iterator[Violation]:
    """Parameters of operators are weights, not results of other nodes."""
    for node in view.nodes:
        for position, name in CONSTANT_INPUTS.get(node.op_type, {}).items():
            given = input_name(node, position)
            if given and not view.is_quantised_constant(given):
                message = f"{name} is computed at run time, and the parser takes it as an initializer only"
                yield Violation(node_name(node), message, f"make {name} a constant of the file")


@rule("rank", "tensorrt-8")
def rank(view: ModelView, profile: Profile) -> Iterator[Violation]:
    """Convolutions and pools are 2-D or 3-D, instance norms take 3 to 5 dimensions."""
    for node in view.nodes:
        given = view.rank(input_name(node, 0))
        least, most = RANKS.get(node.op_type, (0, 0))
        if most and given is not None and not least <= given <= most:
            message = f"{node.op_type} of {given} dimensions, expected {least} to {most}, batch and channels included"
            yield Violation(node_name(node), message, "insert a dimension of size 1 and use the 2-D operator")


@rule("maxpool_indices", "tensorrt-8")
def maxpool_indices(view: ModelView, profile: Profile) -> Iterator[Violation]:
    """A MaxPool gives values only."""
    for node in view.nodes:
        if node.op_type == "MaxPool" and len(node.output) > 1 and node.output[1]:
            yield Violation(
                node_name(node), "it also gives indices", "unpool by Resize or ConvTranspose, without indices"
            )


@rule("resize", "tensorrt-8")
def resize(view: ModelView, profile: Profile) -> Iterator[Violation]:
    """Enlargements are nearest or linear, by scales or sizes that are constants."""
    for node in view.nodes:
        if node.op_type == "Resize":
            for message, hint in _resize_faults(node, view):
                yield Violation(node_name(node), message, hint)


@rule("order_at_the_end", "tensorrt-8")
def order_at_the_end(view: ModelView, profile: Profile) -> Iterator[Violation]:
    """No ArgMax, ArgMin or TopK makes the answer; profiles that forbid them everywhere report them as operators."""
    for output in view.model.graph.output:
        node = view.producers.get(output.name)
        for _ in view.nodes:
            if node is None or node.op_type not in RESHAPING:
                break
            node = view.producers.get(input_name(node, 0))
        if node is not None and node.op_type in ORDER_OPERATORS - profile.export.forbidden_operators.keys():
            message = f"{node.op_type} makes the answer: engines that lack it were seen (NVIDIA/TensorRT issue 3677)"
            yield Violation(node_name(node), message, "give logits and compare them outside")


def _resize_faults(node: onnx.NodeProto, view: ModelView) -> Iterator[tuple[str, str]]:
    """Yield what is wrong about one Resize, and the hint."""
    mode = attribute_text(node, "mode", "nearest")
    if mode not in {"nearest", "linear"}:
        yield f"mode {mode}", "use nearest or linear"
    for name in NEWER_RESIZE:
        if any(attribute.name == name for attribute in node.attribute):
            yield f"attribute {name}, which the parser does not know", f"leave {name} out"
    coordinates = attribute_text(node, "coordinate_transformation_mode", "half_pixel")
    if coordinates not in COORDINATES:
        yield f"coordinate_transformation_mode {coordinates}", "use half_pixel, asymmetric or align_corners"
    nearest = attribute_text(node, "nearest_mode", "round_prefer_floor")
    if coordinates == "tf_half_pixel_for_nn" and nearest != "round_prefer_floor":
        yield f"tf_half_pixel_for_nn with nearest_mode {nearest}", "use nearest_mode round_prefer_floor"
    yield from _size_faults(node, view)


def _size_faults(node: onnx.NodeProto, view: ModelView) -> Iterator[tuple[str, str]]:
    """Yield what is wrong about how one Resize is told the size of its result."""
    scales, sizes = input_name(node, 2 if view.opset >= 11 else 1), input_name(node, 3)
    if sizes:
        if not view.is_constant(sizes):
            yield "sizes are computed at run time", "export with fixed sizes, or give constant scales"
        return
    if not view.is_constant(scales):
        yield "scales are missing or computed at run time", "give constant scales"
        return
    values, dimensions = view.values(scales), view.rank(input_name(node, 0))
    if values is None or (dimensions is not None and values.size != dimensions):
        given = "unreadable" if values is None else str(values.size)
        yield f"{given} scales for {dimensions} dimensions", "give one scale a dimension, batch and channels included"
