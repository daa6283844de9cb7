"""From the bytes of a request to the bytes of its answer; no web, no threads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ussearch.runtime.bundle import ServingBundle
from ussearch.runtime.manifest import MODEL_VERSION
from ussearch.runtime.onnx_network import OnnxNetwork, sigmoid
from ussearch.runtime.postprocessing import Postprocessing
from ussearch.runtime.predictor import CLOUD_MODEL
from ussearch.serving.protocol import Encoded, ProtocolError, Tensor, decode, encode

IMAGE, MASK, LOGITS = "image", "mask", "logits"
BYTES_A_PIXEL = 6  # of the longest request: a number of three digits, commas and blanks
REST_OF_BODY = 1 << 16
LONGEST_ID = 128


@dataclass(frozen=True)
class CloudModel:
    """The cloud network of a bundle, for images of ``side`` pixels.

    It takes ``image``, grey levels uint8 [1, 1, S, S], and offers ``mask``, bits uint8 [1, 1, S, ceil(S / 8)] of the
    mask as ``postprocessing`` leaves it (the first pixel in the highest bit; without one, of the pixels with
    probability 0.5 or more), and ``logits``, float32 [1, 1, S, S], as the network gives them.
    """

    name: str
    side: int
    network: OnnxNetwork
    postprocessing: Postprocessing | None = None

    @classmethod
    def of(cls, bundle: ServingBundle) -> CloudModel:
        """Load the cloud network of ``bundle``."""
        manifest = bundle.manifest
        network = OnnxNetwork(bundle.folder / CLOUD_MODEL)
        side = manifest.preprocessing.image_size
        return cls(manifest.model_name, side, network, manifest.postprocessing_of("cloud"))

    @property
    def body_limit(self) -> int:
        """The size in bytes that no request needs to exceed."""
        return REST_OF_BODY + BYTES_A_PIXEL * self.side**2

    def metadata(self) -> dict[str, Any]:
        """Return the model's description as the protocol wants it."""
        side = self.side
        return {
            "name": self.name,
            "versions": [MODEL_VERSION],
            "platform": "onnxruntime_onnx",
            "inputs": [{"name": IMAGE, "datatype": "UINT8", "shape": [1, 1, side, side]}],
            "outputs": [
                {"name": MASK, "datatype": "UINT8", "shape": [1, 1, side, (side + 7) // 8]},
                {"name": LOGITS, "datatype": "FP32", "shape": [1, 1, side, side]},
            ],
        }

    def infer(self, body: bytes, header_length: str | None) -> Encoded:
        """Return the answer to a request; raises ProtocolError where the request is wrong."""
        message = decode(body, header_length, "inputs")
        image = self._image(message.tensors)
        wanted = _wanted_outputs(message.header)
        identity = message.header.get("id", "")
        if not isinstance(identity, str) or len(identity) > LONGEST_ID:
            raise ProtocolError(f"id must be a text of at most {LONGEST_ID} letters")
        logits = self.network.logits(image)
        outputs = [Tensor(name, self._bits(logits) if name == MASK else logits) for name in wanted]
        header = {"model_name": self.name, "model_version": MODEL_VERSION, "id": identity}
        return encode(header, "outputs", outputs, wanted)

    def _image(self, tensors: tuple[Tensor, ...]) -> npt.NDArray[np.uint8]:
        shape = (1, 1, self.side, self.side)
        if len(tensors) != 1 or tensors[0].name != IMAGE:
            raise ProtocolError(f"inputs must be one tensor named {IMAGE!r}")
        if tensors[0].datatype != "UINT8" or tensors[0].values.shape != shape:
            raise ProtocolError(f"{IMAGE!r} must be UINT8 of shape {list(shape)}")
        return tensors[0].values

    def _bits(self, logits: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
        how = self.postprocessing
        return np.packbits(logits >= 0 if how is None else how.masks(sigmoid(logits)), axis=-1)


def _wanted_outputs(header: Mapping[str, Any]) -> dict[str, bool]:
    """Return which outputs a request wants, and which of them as bytes; it wants all where it names none."""
    everything = _flag(header, "binary_data_output", default=False)
    requested = header.get("outputs")
    if requested is None:
        return {MASK: everything, LOGITS: everything}
    if not isinstance(requested, list) or not requested:
        raise ProtocolError("outputs must be a list of objects with a name")
    wanted = {}
    for entry in requested:
        name = entry.get("name") if isinstance(entry, dict) else None
        if name not in (MASK, LOGITS) or name in wanted:
            raise ProtocolError(f"outputs must be {MASK!r}, {LOGITS!r} or both")
        wanted[name] = _flag(entry, "binary_data", default=everything)
    return wanted


def _flag(entry: Mapping[str, Any], name: str, *, default: bool) -> bool:
    parameters = entry.get("parameters", {})
    value = parameters.get(name, default) if isinstance(parameters, dict) else None
    if not isinstance(value, bool):
        raise ProtocolError(f"parameters must be an object, and {name} true or false")
    return value
