"""A float model file and calibration images become a quantised file."""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from ussearch.compress.quantisation.graph import deduplicate_initializers_, image_nodes, layers, name_of
from ussearch.compress.quantisation.ranges import ActivationRanges, Images, Ranges, session
from ussearch.compress.quantisation.settings import Method, Scheme, Settings
from ussearch.errors import UserError
from ussearch.files import write_atomically
from ussearch.hardware_profiles.onnx_files.check import load_onnx

WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
OPERATORS: dict[Scheme, tuple[str, ...]] = {
    "u8s8": (
        *WEIGHTED,
        *("Relu", "Clip", "LeakyRelu", "Sigmoid"),
        *("Add", "Mul", "Concat", "Resize", "MaxPool", "AveragePool", "GlobalAveragePool"),
        *("Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze", "Slice"),
    ),
    "s8s8": (*WEIGHTED, "Add"),
}
"""What is quantised. Softmax and norms stay in float: their ranges are wide and their share of the time is small."""
OPTIONS: dict[Scheme, dict[str, Any]] = {
    "u8s8": {
        "ActivationSymmetric": False,
        "WeightSymmetric": True,
        "MatMulConstBOnly": True,
        "QDQOpTypePerChannelSupportToAxis": {"MatMul": 1},
    },
    "s8s8": {
        "ActivationSymmetric": True,
        "WeightSymmetric": True,
        "MatMulConstBOnly": True,
        "QDQOpTypePerChannelSupportToAxis": {"MatMul": 1},
        "QuantizeBias": False,
        "DedicatedQDQPair": True,  # TensorRT's parser wants a pair for each reader
        "OpTypesToExcludeOutputQuantization": list(OPERATORS["s8s8"]),
    },
}
OLDEST_OPSET = 13
"""The first whose DequantizeLinear has a scale for each channel."""


class Quantiser:
    """A float model file and the ranges of its activations: settings are tried without running the images again."""

    def __init__(self, model: Path, images: Images) -> None:
        """``images`` are uint8 or float32 [N, C, S, S] in grey levels, 100 to 300 of them.

        Raises UserError where the file is damaged, quantised already, of an opset below 13, without layers, or of
        another input shape than the images.
        """
        self.source = load_onnx(model)
        _refuse(self.source, model, images)
        self.prepared = _prepared(self.source)
        self.layers = layers(self.prepared)
        """The names of the nodes with weights in order of execution; any may be left in float."""
        if not self.layers:
            raise UserError(f"{model} holds no convolution, expected a segmentation network; export it again.")
        self._calibration = ActivationRanges(self.prepared, images)
        self._ranges: dict[Method, Ranges] = {}

    def model(self, settings: Settings) -> onnx.ModelProto:
        """Return the quantised model; raises UserError where ``float_nodes`` names a node that is not there."""
        _refuse_unknown(settings.float_nodes, {name_of(node) for node in self.prepared.graph.node})
        if settings.method not in self._ranges:
            self._ranges[settings.method] = self._calibration.ranges(settings.method)
        result = _placed(self.prepared, self._ranges[settings.method], settings)
        _keep_outputs_float(result)
        _tidy(result)
        deduplicate_initializers_(result)
        result.ir_version = min(result.ir_version, self.source.ir_version)
        return result

    def write(self, settings: Settings, out: Path) -> None:
        """Write the quantised model to ``out``, after its bytes were read again, checked and loaded."""
        data = self.model(settings).SerializeToString(deterministic=True)
        _check(data, self.source)
        write_atomically(out, data)


def quantise(model: Path, images: Images, settings: Settings, out: Path) -> None:
    """Write ``model`` with 8-bit weights and activations to ``out``: static QDQ, weights symmetric per channel.

    ``images`` are uint8 or float32 [N, C, S, S] in grey levels. The logits stay float32: behind the last layer stands
    no rounding. The same inputs give the same bytes. Raises UserError as ``Quantiser`` does.
    """
    Quantiser(model, images).write(settings, out)


def _refuse(model: onnx.ModelProto, path: Path, images: Images) -> None:
    """Raise UserError where ``images`` or the file cannot be used."""
    opset = next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 0)
    if opset < OLDEST_OPSET:
        raise UserError(f"{path} has opset {opset}, quantisation needs {OLDEST_OPSET} or later; export it again.")
    if any(node.op_type in ("QuantizeLinear", "DequantizeLinear") for node in model.graph.node):
        raise UserError(f"{path} is quantised already, expected the float model; give the file that was exported.")
    shape = tuple(dimension.dim_value for dimension in model.graph.input[0].type.tensor_type.shape.dim)
    if images.ndim != 4 or len(images) == 0 or tuple(images.shape[1:]) != shape[1:]:
        raise UserError(
            f"Calibration images have the shape {tuple(images.shape)}, {path.name} takes [N, "
            f"{', '.join(map(str, shape[1:]))}]; prepare at least one image at that size."
        )


def _refuse_unknown(names: frozenset[str], known: set[str]) -> None:
    unknown = sorted(names - known)
    if unknown:
        raise UserError(
            f"Unknown nodes {', '.join(unknown[:3])} to leave in float: expected names of the file; see `layers`."
        )


def _prepared(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return ``model`` with all shapes known and its constants folded, as quantisation needs it."""
    from onnxruntime.quantization import quant_pre_process

    with tempfile.TemporaryDirectory() as folder, _quietly():
        path = Path(folder) / "prepared.onnx"
        quant_pre_process(model, str(path))
        prepared = onnx.load(path)
    for node in prepared.graph.node:
        node.name = name_of(node)  # exclusion works by name
    return prepared


def _placed(model: onnx.ModelProto, ranges: Ranges, settings: Settings) -> onnx.ModelProto:
    """Return ``model`` with pairs of QuantizeLinear and DequantizeLinear where the scheme wants them."""
    from onnxruntime.quantization import CalibrationMethod, QDQQuantizer, QuantType, TensorData, TensorsData

    data = {
        name: TensorData(lowest=np.array(low, np.float32), highest=np.array(high, np.float32))
        for name, (low, high) in ranges.items()
    }
    working = onnx.ModelProto()
    working.CopyFrom(model)
    with _quietly():
        quantizer = QDQQuantizer(
            working,
            True,  # weights per channel
            settings.largest_weight < 127,
            QuantType.QInt8,
            QuantType.QUInt8 if settings.scheme == "u8s8" else QuantType.QInt8,
            TensorsData(CalibrationMethod.MinMax, data),
            [],
            sorted(settings.float_nodes | _slower(model, settings.scheme)),
            list(OPERATORS[settings.scheme]),
            dict(OPTIONS[settings.scheme]),
        )
        quantizer.quantize_model()
        quantizer.model.topological_sort()
    result: onnx.ModelProto = quantizer.model.model
    return result


def _slower(model: onnx.ModelProto, scheme: Scheme) -> frozenset[str]:
    """Return the names of the nodes that onnxruntime computes slower in INT8: from the image to what layers make of it.

    One or three channels are too few for its integer kernel: with AVX512-VNNI such a layer takes three or two times as
    long as in float, and from eight channels on less than 0.8 times (``benchmarks/rounding.py``).
    """
    return frozenset(image_nodes(model)) if scheme == "u8s8" else frozenset()


def _keep_outputs_float(model: onnx.ModelProto) -> None:
    """Remove the pair of nodes that rounds an output to 256 levels, in place."""
    producers = {output: node for node in model.graph.node for output in node.output}
    for output in model.graph.output:
        expand = producers[output.name]
        if expand.op_type != "DequantizeLinear":
            continue
        reduce = producers[expand.input[0]]
        source = producers[reduce.input[0]]
        source.output[list(source.output).index(reduce.input[0])] = output.name
        model.graph.node.remove(expand)
        model.graph.node.remove(reduce)


def _tidy(model: onnx.ModelProto) -> None:
    """Remove what preparation left behind besides constants, in place."""
    domains = {node.domain for node in model.graph.node} | {""}
    imports = [entry for entry in model.opset_import if entry.domain in domains]
    del model.opset_import[:]
    model.opset_import.extend(imports)
    del model.metadata_props[:]


def _check(data: bytes, source: onnx.ModelProto) -> None:
    """Raise where the written model is not what the float one was but for the pairs of nodes: a defect of ours."""
    model = onnx.load_model_from_string(data)
    onnx.checker.check_model(model, full_check=True)
    imports = {entry.domain: entry.version for entry in model.opset_import}
    before = {entry.domain: entry.version for entry in source.opset_import}
    if imports != before or model.ir_version > source.ir_version:
        raise RuntimeError(f"quantisation changed the form of the file: {imports}, IR {model.ir_version}")
    session(data)


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep onnxruntime's remarks about the file, by the root logger, off the terminal, and leave that as it was."""
    logger, nobody = logging.getLogger(), logging.NullHandler()
    level = logger.level
    logger.addHandler(nobody)  # where it has no handler, logging.warning would give it one for good
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
        logger.removeHandler(nobody)
