"""Does an ONNX file fit a device? Every finding names the node and the hint."""

from __future__ import annotations

import stat
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # protobuf ships no annotations
from onnx import TensorProto

from ussearch.errors import UserError
from ussearch.hardware_profiles.onnx_files.rules import RULES, Finding, ModelView
from ussearch.hardware_profiles.onnx_files.rules.shapes import STATIC_SHAPES
from ussearch.hardware_profiles.onnx_files.rules.view import printable
from ussearch.hardware_profiles.profile import Profile

LARGEST_BYTES = 2**31
"""More than this no protobuf message holds."""
VALID = "valid_onnx"


def check_onnx(model: onnx.ModelProto | Path, profile: Profile) -> tuple[Finding, ...]:
    """Return everything about ``model`` that breaks the export rules of ``profile``, in the order of the
    rules.

    The verdict of ONNX's own checker comes only where no rule found anything: its one complaint would repeat a rule's.
    Raises UserError where it is not an ONNX file.
    """
    view = ModelView(load_onnx(model) if isinstance(model, Path) else model)
    found = [finding for name in RULES for finding in RULES[name].findings(view, profile)]
    return tuple(_causes(found) or _invalid(view))


def load_onnx(path: Path) -> onnx.ModelProto:
    """Return the model at ``path`` without following references to external data; raises UserError."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise UserError(f"Cannot read {path}: it is not a file; give the path of an ONNX file.")
        if status.st_size > LARGEST_BYTES:
            size = f"{status.st_size / 2**30:.1f} GiB"
            raise UserError(f"{path} is not an ONNX file ({size}, expected at most 2 GiB); export the network again.")
        model = onnx.load_model_from_string(path.read_bytes())
    except OSError as error:
        raise UserError(f"Cannot read {path}: {error.strerror}; give the path of an ONNX file.") from error
    except DecodeError as error:
        raise UserError(f"{path} is not an ONNX file (it cannot be parsed); export the network again.") from error
    if not model.graph.node or not model.graph.output:
        raise UserError(f"{path} is not an ONNX file (it holds no graph); export the network again.")
    return model


def _causes(findings: list[Finding]) -> list[Finding]:
    """Leave out unknown shapes at nodes that another finding names: they are its consequence."""
    explained = {finding.node for finding in findings if finding.rule != STATIC_SHAPES}
    return [finding for finding in findings if finding.rule != STATIC_SHAPES or finding.node not in explained]


def _invalid(view: ModelView) -> list[Finding]:
    """Return what ONNX's own checker says about a model, nothing where its weights lie outside the file."""
    if any(tensor.data_location == TensorProto.EXTERNAL for tensor in view.tensors):
        return []  # NOTE: the checker would look for the files
    try:
        onnx.checker.check_model(view.model)
    except (onnx.checker.ValidationError, ValueError, TypeError, RuntimeError) as error:
        reason = printable(" ".join(str(error).split()) or type(error).__name__)
        return [Finding(VALID, "model", f"it is not valid ONNX: {reason}", "export the network again")]
    return []
