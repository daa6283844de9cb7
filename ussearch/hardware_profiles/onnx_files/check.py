"""Does an ONNX file fit a device? Every finding names the node and the mend."""

from __future__ import annotations

from pathlib import Path

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # protobuf ships no annotations

from ussearch.errors import UserError
from ussearch.hardware_profiles.onnx_files.rules import RULES, Finding
from ussearch.hardware_profiles.profile import Profile


def check_onnx(model: onnx.ModelProto | Path, profile: Profile) -> tuple[Finding, ...]:
    """Return everything about ``model`` that breaks the export rules of ``profile``, in the order of the
    rules.

    Raises UserError where a path is not an ONNX file.
    """
    proto = load_onnx(model) if isinstance(model, Path) else model
    return tuple(finding for name in RULES for finding in RULES[name](proto, profile))


def load_onnx(path: Path) -> onnx.ModelProto:
    """Return the model at ``path`` without following references to external data; raises UserError."""
    try:
        model = onnx.load_model_from_string(path.read_bytes())
    except OSError as error:
        raise UserError(f"Cannot read {path}: {error.strerror}; give the path of an ONNX file.") from error
    except DecodeError as error:
        raise UserError(f"{path} is not an ONNX file (it cannot be parsed); export the network again.") from error
    if not model.graph.node or not model.graph.output:
        raise UserError(f"{path} is not an ONNX file (it holds no graph); export the network again.")
    return model
