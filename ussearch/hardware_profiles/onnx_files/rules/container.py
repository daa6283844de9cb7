"""Rules about the file itself: versions, and where its weights are."""

from __future__ import annotations

from collections.abc import Iterator

from onnx import TensorProto

from ussearch.hardware_profiles.onnx_files.rules.rule import Violation, rule
from ussearch.hardware_profiles.onnx_files.rules.view import ModelView, printable
from ussearch.hardware_profiles.profile import Profile

OLDEST_OPSET = 7
"""onnxruntime reads all opsets from 7 on (its documentation, ONNX Runtime compatibility), and TensorRT's parser refuses
to broadcast before 7 (onnx/onnx-tensorrt, broadcastTensor).
"""


@rule("opset")
def opset(view: ModelView, profile: Profile) -> Iterator[Violation]:
    """The operator set is not newer than the one that the device's parser was written for: older ones are read."""
    newest = profile.export.opset
    if not OLDEST_OPSET <= view.opset <= newest:
        message = f"opset {view.opset}, expected {OLDEST_OPSET} to {newest}"
        yield Violation("model", message, f"export with opset_version={newest} and dynamo=False")


@rule("ir_version")
def ir_version(view: ModelView, profile: Profile) -> Iterator[Violation]:
    """The file format is old enough for the device's parser."""
    given, highest = view.model.ir_version, profile.export.ir_version
    if given > highest:
        message = f"IR version {given}, expected at most {highest}"
        yield Violation("model", message, f"set model.ir_version = {highest} before saving")


@rule("external_data")
def external_data(view: ModelView, profile: Profile) -> Iterator[Violation]:
    """The weights are in the file itself."""
    if profile.export.external_data:
        return
    for tensor in view.tensors:
        if tensor.data_location == TensorProto.EXTERNAL:
            message = "its values are stored outside the file"
            yield Violation(printable(tensor.name), message, "save with save_as_external_data=False")
