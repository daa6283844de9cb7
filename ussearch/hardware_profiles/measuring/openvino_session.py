"""A model file as OpenVINO computes it on this machine's processor; needs the extra ``openvino``."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ussearch.errors import UserError

Floats = npt.NDArray[np.float32]


def installed() -> bool:
    """Return whether the extra is there."""
    return find_spec("openvino") is not None


class OpenVinoSession:
    """An ONNX file with one input and one output; what is not quantised is computed in FP32.

    Left alone, OpenVINO would compute in BF16 where the processor can, which is another precision than is asked for.
    """

    def __init__(self, path: Path, threads: int = 1) -> None:
        """Raises UserError where the extra is not installed or OpenVINO cannot load the file."""
        openvino = _openvino()
        properties = {
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "f32",
        }
        try:
            compiled = openvino.Core().compile_model(str(path), "CPU", properties)
        except RuntimeError as error:
            reason = " ".join(str(error).split())[:200]
            raise UserError(f"OpenVINO cannot load {path} ({reason}); export the network again.") from error
        self.version = str(openvino.__version__)
        self.input_shape = tuple(compiled.input(0).shape)
        self._request: Any = compiled.create_infer_request()

    def run(self, image: Floats) -> Floats:
        """Return the output for one input of ``input_shape``."""
        self._request.infer([image], share_inputs=True)
        return np.array(self._request.get_output_tensor(0).data, np.float32)


def _openvino() -> Any:
    """Import OpenVINO; raises UserError where it is not installed.

    Importing it would send a message to Google Analytics and leave files in the user's home, unless its package for
    that is missing: here it is, to this process.
    """
    if not installed():
        raise UserError("OpenVINO is not installed: pip install 'ussearch[openvino]'.")
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # None: importing it fails
    import openvino

    return openvino
