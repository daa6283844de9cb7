"""Constants folded and copies removed, so that a device's parser meets nothing but the network."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import onnx
import onnxruntime


def simplified(model: onnx.ModelProto, output_shape: Sequence[int]) -> onnx.ModelProto:
    """Return ``model`` without identities and shape arithmetic, its one output declared as ``output_shape``.

    The exporter leaves an Identity between a shared weight and its convolution and computes shapes that are
    known: older parsers accept neither. onnxruntime's basic optimisations, which stay within standard ONNX,
    remove both.
    """
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        options.optimized_model_filepath = str(path)
        onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        result = onnx.load(path)
    used = {node.domain for node in result.graph.node} | {""}
    imports = [entry for entry in result.opset_import if entry.domain in used]
    del result.opset_import[:]
    result.opset_import.extend(imports)
    dimensions = result.graph.output[0].type.tensor_type.shape
    dimensions.ClearField("dim")
    for size in output_shape:
        dimensions.dim.add().dim_value = size
    return result
