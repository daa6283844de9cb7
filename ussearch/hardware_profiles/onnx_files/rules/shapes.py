"""Rules about shapes: every size is a number before anything runs, and there is one image at a time."""

from __future__ import annotations

from collections.abc import Iterator

import onnx

from ussearch.hardware_profiles.onnx_files.rules.rule import Violation, rule
from ussearch.hardware_profiles.onnx_files.rules.view import ModelView, node_name, printable, static_shape
from ussearch.hardware_profiles.profile import Profile

STATIC_SHAPES = "static_shapes"
SHAPE_NOT_INFERRED = frozenset({"TreeEnsembleRegressor"})
"""Operators with results of fixed shape for which onnx has no inference; it has none for any of another domain."""


@rule(STATIC_SHAPES)
def static_shapes(view: ModelView, profile: Profile) -> Iterator[Violation]:
    """Every dimension of every tensor is a number: inputs, outputs and all between them."""
    if not profile.export.static_shapes:
        return
    for value in [*view.inputs, *view.model.graph.output]:
        shape = static_shape(value)
        if shape is None or 0 in shape:
            message = f"shape {_as_written(value)} is not static"
            yield Violation(printable(value.name), message, "export without dynamic axes")
    for node in view.model.graph.node:
        if _starts_the_unknown(node, view):
            message = "the shape of its result is known only when it runs, whereas those of its inputs are fixed"
            yield Violation(
                node_name(node), message, "give sizes as constants: export with fixed sizes and constant folding"
            )


@rule("batch_one")
def batch_one(view: ModelView, profile: Profile) -> Iterator[Violation]:
    """The device answers one image at a time."""
    for value in view.inputs:
        dimensions = value.type.tensor_type.shape.dim
        if dimensions and dimensions[0].dim_value > 1:
            message = f"batch size {dimensions[0].dim_value}, expected 1"
            yield Violation(printable(value.name), message, "export with an example of batch size 1")


def _starts_the_unknown(node: onnx.NodeProto, view: ModelView) -> bool:
    """Whether all shapes are known in front of ``node`` and one is unknown behind it."""
    if node.op_type in SHAPE_NOT_INFERRED or node.domain not in {"", "ai.onnx"}:
        return False
    before = all(name in view.shapes for name in node.input if name)
    return before and any(name not in view.shapes for name in node.output if name)


def _as_written(value: onnx.ValueInfoProto) -> str:
    if not value.type.tensor_type.HasField("shape"):
        return "unknown"
    sizes = [each.dim_value or each.dim_param or "?" for each in value.type.tensor_type.shape.dim]
    return printable(str(sizes))
