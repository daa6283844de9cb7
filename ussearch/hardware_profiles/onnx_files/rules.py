"""The rules that a model file must keep, one small function each, in the order in which they are reported."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

import onnx
from onnx import TensorProto

from ussearch.hardware_profiles.profile import Precision, Profile
from ussearch.registry import Registry


@dataclass(frozen=True)
class Finding:
    """A broken rule: which one, at which node (or tensor, or ``model``), what is wrong and what mends it."""

    rule: str
    node: str
    message: str
    mend: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.node}: {self.message}; {self.mend}."

    def to_dict(self) -> dict[str, str]:
        """Return the finding as plain data."""
        return asdict(self)


Rule = Callable[[onnx.ModelProto, Profile], Iterator[Finding]]
RULES: Registry[Rule] = Registry("ONNX rule")

INT8_OPERATORS = frozenset(
    {"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear"}
    | {"QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger"}
)
ELEMENT_PRECISIONS: dict[int, Precision] = {TensorProto.FLOAT16: "fp16", TensorProto.BFLOAT16: "bf16"}
DYNAMIC_CONV = "dynamic_conv"
"""The architecture feature that ``constant_weights`` looks for in files."""

AXES_AS_ATTRIBUTE = frozenset(
    {"ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean"}
    | {"ReduceMin", "ReduceProd", "ReduceSumSquare"}
)


@RULES.register("opset")
def opset(model: onnx.ModelProto, profile: Profile) -> Iterator[Finding]:
    """The operator set is the one that the device's parser was written for."""
    given = {entry.domain: entry.version for entry in model.opset_import}.get("", 0)
    expected = profile.export.opset
    if given != expected:
        message = f"opset {given}, expected {expected}"
        yield Finding("opset", "model", message, f"export with opset_version={expected} and dynamo=False")


@RULES.register("ir_version")
def ir_version(model: onnx.ModelProto, profile: Profile) -> Iterator[Finding]:
    """The file format is old enough for the device's parser."""
    highest = profile.export.ir_version
    if model.ir_version > highest:
        message = f"IR version {model.ir_version}, expected at most {highest}"
        yield Finding("ir_version", "model", message, f"set model.ir_version = {highest} before saving")


@RULES.register("static_shapes")
def static_shapes(model: onnx.ModelProto, profile: Profile) -> Iterator[Finding]:
    """Every dimension of every input and output is a number."""
    if not profile.export.static_shapes:
        return
    for value in [*model.graph.input, *model.graph.output]:
        shape = value.type.tensor_type.shape
        sizes = [dimension.dim_value or dimension.dim_param or "?" for dimension in shape.dim]
        if not sizes or not all(isinstance(size, int) for size in sizes):
            message = f"shape {sizes or 'unknown'} is not static"
            yield Finding("static_shapes", value.name, message, "export without dynamic axes")


@RULES.register("batch_one")
def batch_one(model: onnx.ModelProto, profile: Profile) -> Iterator[Finding]:
    """The device answers one image at a time."""
    for value in model.graph.input:
        dimensions = value.type.tensor_type.shape.dim
        if dimensions and dimensions[0].dim_value > 1:
            message = f"batch size {dimensions[0].dim_value}, expected 1"
            yield Finding("batch_one", value.name, message, "export with an example of batch size 1")


@RULES.register("external_data")
def external_data(model: onnx.ModelProto, profile: Profile) -> Iterator[Finding]:
    """The weights are in the file itself."""
    if profile.export.external_data:
        return
    for tensor in tensors(model):
        if tensor.data_location == TensorProto.EXTERNAL:
            message = "its values are stored outside the file"
            yield Finding("external_data", tensor.name, message, "save with save_as_external_data=False")


@RULES.register("operators")
def operators(model: onnx.ModelProto, profile: Profile) -> Iterator[Finding]:
    """Every operator is one that the device's parser imports."""
    rules = profile.export
    for node in nodes(model.graph):
        if node.op_type in rules.forbidden_operators:
            message = f"operator {node.op_type} is not allowed on {profile.name}"
            yield Finding("operators", node_name(node), message, rules.forbidden_operators[node.op_type])
        elif rules.allowed_operators is None:
            continue
        elif node.op_type not in rules.allowed_operators or node.domain not in {"", "ai.onnx"}:
            name = f"{node.domain}.{node.op_type}".lstrip(".")
            message = f"operator {name} is not among those that {profile.name} imports"
            yield Finding("operators", node_name(node), message, "express it by operators of the profile's list")


@RULES.register("reduce_axes")
def reduce_axes(model: onnx.ModelProto, profile: Profile) -> Iterator[Finding]:
    """Below opset 18 the axes of a Reduce are an attribute: parsers ignore a second input and reduce
    everything.
    """
    if profile.export.opset >= 18:
        return
    for node in nodes(model.graph):
        if node.op_type in AXES_AS_ATTRIBUTE and len(node.input) > 1:
            message = "axes given as an input are silently ignored and every axis is reduced"
            mend = "give axes as an attribute (opset 13 style) or use GlobalAveragePool"
            yield Finding("reduce_axes", node_name(node), message, mend)


@RULES.register("constant_weights")
def constant_weights(model: onnx.ModelProto, profile: Profile) -> Iterator[Finding]:
    """Kernels computed from the image (dynamic convolutions) are refused where the profile forbids them."""
    if DYNAMIC_CONV not in profile.forbidden_features:
        return
    constants = {tensor.name for tensor in model.graph.initializer}
    constants |= {name for node in nodes(model.graph) if node.op_type == "Constant" for name in node.output}
    for node in nodes(model.graph):
        if node.op_type in {"Conv", "ConvTranspose"} and node.input[1] not in constants:
            message = f"its kernel is computed at run time: {profile.forbidden_features[DYNAMIC_CONV]}"
            yield Finding("constant_weights", node_name(node), message, "use a convolution with constant weights")


@RULES.register("precision")
def precision(model: onnx.ModelProto, profile: Profile) -> Iterator[Finding]:
    """The file asks for no arithmetic that the device lacks."""
    mend = f"export in {' or '.join(profile.export.precisions)}"
    for node in nodes(model.graph):
        if node.op_type in INT8_OPERATORS and "int8" not in profile.export.precisions:
            yield Finding("precision", node_name(node), _absent("int8", profile), mend)
    for tensor in tensors(model):
        asked = ELEMENT_PRECISIONS.get(tensor.data_type)
        if asked is not None and asked not in profile.export.precisions:
            yield Finding("precision", tensor.name, _absent(asked, profile), mend)


def nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """Yield every node, those of subgraphs included."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for subgraph in [attribute.g, *attribute.graphs]:
                yield from nodes(subgraph)


def tensors(model: onnx.ModelProto) -> Iterator[TensorProto]:
    """Yield every stored tensor: initializers and the values of constants."""
    yield from model.graph.initializer
    for node in nodes(model.graph):
        yield from (attribute.t for attribute in node.attribute if attribute.HasField("t"))


def node_name(node: onnx.NodeProto) -> str:
    """Return how a user finds ``node``: its name, or what it makes."""
    return node.name or f"{node.op_type} that makes {', '.join(node.output)}"


def _absent(asked: Precision, profile: Profile) -> str:
    reason = profile.export.absent_precisions.get(asked, "the device has no such arithmetic")
    return f"{asked} on {profile.name}: {reason}"
