"""From a trained network to a model file, its constants folded, that a device's rules accept."""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import onnx
import onnxruntime
import torch
from onnx.checker import ValidationError
from torch import nn
from torch.onnx import (  # type: ignore[attr-defined]  # public, but missing from its __all__
    register_custom_op_symbolic,
    unregister_custom_op_symbolic,
)

from ussearch.errors import UserError
from ussearch.files import write_atomically
from ussearch.hardware_profiles.onnx_files.check import check_onnx, load_onnx
from ussearch.hardware_profiles.profile import ExportRules, Profile


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


INPUT = "image"
OUTPUT = "logits"


@dataclass(frozen=True)
class ExportRecord:
    """What was written: the form of the file, and how often each operator occurs in it."""

    opset: int
    ir_version: int
    operators: dict[str, int]
    file_bytes: int

    def to_dict(self) -> dict[str, Any]:
        """Return the record as plain data."""
        return asdict(self)


def export_module(
    module: nn.Module, image_size: int, profile: Profile, path: Path, *, image_channels: int = 1
) -> ExportRecord:
    """Write ``module`` (a deploy form that normalises its input) as an ONNX file that keeps the rules of ``profile``.

    The file takes ``image`` float32 [1, image_channels, image_size, image_size] in grey levels 0..255 and gives
    ``logits`` [1, classes, image_size, image_size]: a pixel belongs to the lesion where they are at least 0. It is
    read again and checked before anything appears at ``path``.

    Raises UserError where the device's rules cannot be kept; the message names the node and the hint.
    """
    module = module.cpu().eval()
    example = torch.zeros(1, image_channels, image_size, image_size)
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "model.onnx"
        with exporting_quietly(), _decomposed(profile.export), torch.no_grad():
            output_shape = tuple(module(example).shape)
            torch.onnx.export(
                module,
                (example,),
                str(raw),
                dynamo=False,  # NOTE: the other exporter writes opset 18 whatever it is asked for
                opset_version=profile.export.opset,
                input_names=[INPUT],
                output_names=[OUTPUT],
                do_constant_folding=True,
            )
        model = simplified(load_onnx(raw), output_shape)
    model.ir_version = min(model.ir_version, profile.export.ir_version)
    refuse_findings(model, profile)
    write_atomically(path, model.SerializeToString(deterministic=True))
    return record_of(path)


def refuse_findings(model: onnx.ModelProto, profile: Profile) -> None:
    """Raise UserError with the first thing about ``model`` that breaks a rule of ``profile`` or of ONNX
    itself.
    """
    findings = check_onnx(model, profile)
    if findings:
        more = f" (and {len(findings) - 1} more)" if len(findings) > 1 else ""
        raise UserError(f"The network cannot be exported for {profile.name}: {findings[0]}{more}")
    try:
        onnx.checker.check_model(model, full_check=True)
    except ValidationError as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"The exported network is not valid ONNX ({reason}): choose another architecture.") from error


def record_of(path: Path) -> ExportRecord:
    """Describe the model file at ``path`` as it is on disk."""
    model = load_onnx(path)
    opset = next(entry.version for entry in model.opset_import if entry.domain == "")
    operators = Counter(node.op_type for node in model.graph.node)
    return ExportRecord(opset, model.ir_version, dict(sorted(operators.items())), path.stat().st_size)


@contextmanager
def exporting_quietly() -> Iterator[None]:
    """Keep the exporter's warnings about tracing and its own deprecation off the terminal."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


@contextmanager
def _decomposed(rules: ExportRules) -> Iterator[None]:
    """Write hard-swish as ``x * HardSigmoid(x)``, two nodes, where the device does not import HardSwish."""
    allowed = rules.allowed_operators is None or "HardSwish" in rules.allowed_operators
    if rules.opset >= 14 and allowed and "HardSwish" not in rules.forbidden_operators:
        yield
        return

    def hardswish(graph: Any, value: Any) -> Any:
        gate = graph.op("HardSigmoid", value, alpha_f=1 / 6, beta_f=0.5)
        return graph.op("Mul", value, gate)

    register_custom_op_symbolic("aten::hardswish", hardswish, rules.opset)
    try:
        yield
    finally:
        unregister_custom_op_symbolic("aten::hardswish", rules.opset)
