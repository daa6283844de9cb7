"""Model files as the runtime of their format computes them on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ussearch.evaluators.onnx_network import OnnxNetwork

ONNX, TFLITE = ".onnx", ".tflite"


class Running(Protocol):
    """A model file that was loaded: one thread, batch 1."""

    def probabilities(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Return the probabilities float32 [N, 1, S, S] of grey images uint8 [N, 1, S, S]."""


def running(path: Path) -> Running:
    """Load a model file: LiteRT computes ``.tflite`` files, onnxruntime all others; raises UserError."""
    if path.suffix == TFLITE:
        from ussearch.compress.quantisation.litert import LiteRtNetwork

        return LiteRtNetwork(path)
    return OnnxNetwork(path)
