"""An exported network as onnxruntime runs it on this machine: one thread, batch 1."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime

from ussearch.errors import UserError

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
CONFIDENCE = "confidence"


class OnnxNetwork:
    """A model file with one input ``image`` [1, 1, S, S] (grey levels), the output ``logits`` [1, 1, S, S] and, where
    a router is in the file, ``confidence`` [1].
    """

    def __init__(self, path: Path, threads: int = 1) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.enable_mem_pattern = False  # NOTE: costs up to two thirds more memory and saves no time
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # NOTE: onnxruntime's exceptions share no base class but this one
            reason = " ".join(str(error).split())[:200]
            raise UserError(f"onnxruntime cannot load {path} ({reason}); export the network again.") from error
        self._input = self._session.get_inputs()[0].name
        self.outputs: tuple[str, ...] = tuple(output.name for output in self._session.get_outputs())
        self.input_shape: tuple[int, ...] = tuple(self._session.get_inputs()[0].shape)

    def logits(self, images: Pixels) -> Floats:
        """Return the logits float32 [N, 1, S, S] of grey images uint8 [N, 1, S, S], one forward pass each."""
        return self.run(images, self.outputs[0])[0]

    def answers(self, images: Pixels) -> tuple[Floats, Floats | None]:
        """Return the logits float32 [N, 1, S, S] and the confidence float32 [N], None where the file gives none."""
        if CONFIDENCE not in self.outputs:
            return self.logits(images), None
        logits, confidence = self.run(images, self.outputs[0], CONFIDENCE)
        return logits, confidence.reshape(len(images))

    def run(self, images: Pixels, *names: str) -> list[Floats]:
        """Return the outputs ``names`` for images uint8 [N, 1, S, S], each [N, ...], by one forward pass an image."""
        parts = [self._session.run(names, {self._input: image[None].astype(np.float32)}) for image in images]
        if not parts:
            return [np.empty((0, *self.input_shape[1:]), np.float32) for _ in names]
        return [np.concatenate(each) for each in zip(*parts, strict=True)]

    def probabilities(self, images: Pixels) -> Floats:
        """Return the probabilities float32 [N, 1, S, S] of grey images uint8 [N, 1, S, S]."""
        return sigmoid(self.logits(images))


def sigmoid(logits: Floats) -> Floats:
    """Return 1 / (1 + exp(-x)) in float32, without overflow."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * logits)), dtype=np.float32)
