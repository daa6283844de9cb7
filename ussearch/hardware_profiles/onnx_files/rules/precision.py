"""The rule about arithmetic."""

from __future__ import annotations

from collections.abc import Iterator

from onnx import TensorProto

from ussearch.hardware_profiles.onnx_files.rules.rule import Violation, rule
from ussearch.hardware_profiles.onnx_files.rules.view import ModelView, node_name, printable
from ussearch.hardware_profiles.profile import Precision, Profile

INT8_OPERATORS = frozenset(
    {"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear"}
    | {"QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger"}
)
ELEMENT_PRECISIONS: dict[int, Precision] = {TensorProto.FLOAT16: "fp16", TensorProto.BFLOAT16: "bf16"}


@rule("precision")
def precision(view: ModelView, profile: Profile) -> Iterator[Violation]:
    """The file asks for no arithmetic that the device lacks."""
    for node in view.nodes:
        if node.op_type in INT8_OPERATORS and "int8" not in profile.export.precisions:
            yield Violation(node_name(node), _absent("int8", profile), _mend(profile))
    for tensor in view.tensors:
        asked = ELEMENT_PRECISIONS.get(tensor.data_type)
        if asked is not None and asked not in profile.export.precisions:
            yield Violation(printable(tensor.name), _absent(asked, profile), _mend(profile))


def _absent(asked: Precision, profile: Profile) -> str:
    reason = profile.export.absent_precisions.get(asked, "the device has no such arithmetic")
    return f"{asked} on {profile.name}: {reason}"


def _mend(profile: Profile) -> str:
    if profile.export.format != "onnx":
        return "export in fp32: the converter chooses the precision"
    return f"export in {' or '.join(profile.export.precisions)}"
