"""Rules about what must be known before anything runs: kernels and axes."""

from __future__ import annotations

from collections.abc import Iterator

from ussearch.hardware_profiles.onnx_files.rules.rule import Violation, rule
from ussearch.hardware_profiles.onnx_files.rules.view import ModelView, input_name, node_name
from ussearch.hardware_profiles.profile import Profile

DYNAMIC_CONV = "dynamic_conv"
"""The architecture feature that ``constant_weights`` looks for in files."""

AXES_AS_ATTRIBUTE = frozenset(
    {"ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean"}
    | {"ReduceMin", "ReduceProd", "ReduceSumSquare"}
)


@rule("reduce_axes")
def reduce_axes(view: ModelView, profile: Profile) -> Iterator[Violation]:
    """Below opset 18 the axes of a Reduce are an attribute: parsers ignore a second input and reduce
    everything.
    """
    if profile.export.opset >= 18:
        return
    for node in view.nodes:
        if node.op_type in AXES_AS_ATTRIBUTE and len(node.input) > 1:
            message = "axes given as an input are silently ignored and every axis is reduced"
            hint = "give axes as an attribute (opset 13 style) or use GlobalAveragePool"
            yield Violation(node_name(node), message, hint)


@rule("constant_weights")
def constant_weights(view: ModelView, profile: Profile) -> Iterator[Violation]:
    """Kernels computed from the image (dynamic convolutions) are refused where the profile forbids them."""
    if DYNAMIC_CONV not in profile.forbidden_features:
        return
    for node in view.nodes:
        if node.op_type in {"Conv", "ConvTranspose"} and not view.is_quantised_constant(input_name(node, 1)):
            message = f"its kernel is computed at run time: {profile.forbidden_features[DYNAMIC_CONV]}"
            yield Violation(node_name(node), message, "use a convolution with constant weights")
