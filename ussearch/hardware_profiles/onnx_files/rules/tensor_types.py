"""TensorRT 8's rule of what tensors hold where they come in and go out, and where a Cast makes them.

Sources: onnx/onnx-tensorrt, branch 8.2-GA, convertDtype (onnx2trt_utils.cpp), which inputs, outputs and Casts pass:
float64 becomes FP32 and int64 INT32, with a warning, and whatever it does not name stops the import ("Unsupported ONNX
data type: UINT8 (2)", onnx/onnx-tensorrt issue 400); docs/Changelog.md there, 8.5: "Added support for importing ONNX
networks with UINT8 I/O types", the version that also brought GridSample; NVIDIA TensorRT, DataType.UINT8: it is
converted to and from FP32 and FP16 alone, at the network's inputs and outputs.
"""

from __future__ import annotations

from collections.abc import Iterator

from onnx import NodeProto, TensorProto, ValueInfoProto

from ussearch.hardware_profiles.onnx_files.rules.rule import Violation, rule
from ussearch.hardware_profiles.onnx_files.rules.view import ModelView, node_name, printable
from ussearch.hardware_profiles.profile import Profile

BYTE = TensorProto.UINT8
FLOATS = frozenset({TensorProto.FLOAT, TensorProto.FLOAT16})
IMPORTED = FLOATS | {
    *(TensorProto.DOUBLE, TensorProto.INT8, TensorProto.INT32, TensorProto.INT64, TensorProto.BOOL),
}
"""Element types that every version of TensorRT 8 imports."""
OF_8_5 = "GridSample"
"""An operator by which a profile's list tells that its parser is of TensorRT 8.5 or later."""


@rule("tensor_types", "tensorrt-8")
def tensor_types(view: ModelView, profile: Profile) -> Iterator[Violation]:
    """Inputs, outputs and Casts are of a type that the parser imports; uint8 from TensorRT 8.5 on."""
    allowed = profile.export.allowed_operators
    bytes_known = allowed is None or OF_8_5 in allowed
    imported = IMPORTED | {BYTE} if bytes_known else IMPORTED
    for role, values in (("an input", view.inputs), ("an output", view.model.graph.output)):
        for value in values:
            kind = _element_type(value)
            if kind not in {*imported, TensorProto.UNDEFINED}:
                yield Violation(printable(value.name), _refused(role, kind, bytes_known), _mend(role, kind))
    casts = [(node, _cast_to(node)) for node in view.nodes if node.op_type == "Cast"]
    for cast, to in casts:
        if to not in imported:
            yield Violation(node_name(cast), _refused("a Cast", to, bytes_known), "cast to another type")
    if bytes_known:
        yield from _misplaced_bytes(view, casts)


def _misplaced_bytes(view: ModelView, casts: list[tuple[NodeProto, int]]) -> Iterator[Violation]:
    """Yield where uint8 goes anywhere but from an input into a Cast to floats, or from a Cast to an output."""
    raw = {value.name for value in view.inputs if _element_type(value) == BYTE}
    results = {value.name for value in view.model.graph.output}
    to_floats = [node for node, kind in casts if kind in FLOATS]
    for node in view.nodes:
        if raw & set(node.input) and node not in to_floats:
            yield Violation(
                node_name(node), "it computes with uint8", "begin with a Cast of the input to float32 or float16"
            )
    for node, kind in casts:
        if kind == BYTE and not set(node.output) <= results:
            yield Violation(node_name(node), "it makes uint8 inside the network", "cast to uint8 for outputs alone")


def _element_type(value: ValueInfoProto) -> int:
    """Return the type of a tensor's elements, 0 where it is none or nothing is said."""
    return int(value.type.tensor_type.elem_type) if value.type.HasField("tensor_type") else TensorProto.UNDEFINED


def _cast_to(node: NodeProto) -> int:
    """Return the type that a Cast makes."""
    return next((int(attribute.i) for attribute in node.attribute if attribute.name == "to"), TensorProto.FLOAT)


def _refused(role: str, kind: int, bytes_known: bool) -> str:
    known = kind in TensorProto.DataType.values()
    name = TensorProto.DataType.Name(kind).lower() if known else f"of type {kind}"
    since = ", which TensorRT imports from 8.5 on" if kind == BYTE and not bytes_known else ", which TensorRT 8 lacks"
    return f"{role} is {name}{since}"


def _mend(role: str, kind: int) -> str:
    """Return how to do without the type."""
    if role == "an output":
        return "give float32 and convert outside"
    more = " (the same grey levels, and leave out the first Cast)" if kind == BYTE else ""
    return f"take float32{more}"
