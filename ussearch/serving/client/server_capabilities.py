"""How one server wants to be asked, read from its metadata, and what its answers mean.

A server of ussearch takes grey levels as uint8 and offers the mask as bits. Others that serve a ``model.onnx`` offer
logits, and may want float32; some refuse binary tensors, and some tell nothing about their model at all.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ussearch.runtime.onnx_network import sigmoid
from ussearch.runtime.postprocessing import Postprocessing
from ussearch.runtime.prediction import Reason
from ussearch.serving.client.transport import CloudFailure
from ussearch.serving.protocol import DATATYPES, Message, ProtocolError, Tensor

IMAGE, MASK, LOGITS = "image", "mask", "logits"


@dataclass(frozen=True)
class ServerCapabilities:
    """``output`` is empty where the server told none. ``proven`` once an answer was understood: from then on a refusal
    is about the request and no longer about its form.
    """

    input: str = IMAGE
    datatype: str = "UINT8"
    output: str = ""
    binary: bool = True
    proven: bool = False

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type in which pixels are sent."""
        return DATATYPES[self.datatype]

    def request_header(self, key: str) -> dict[str, Any]:
        """Return the JSON of a request but for its inputs."""
        header: dict[str, Any] = {"id": key}
        if self.output:
            wanted: dict[str, Any] = {"name": self.output}
            header["outputs"] = [{**wanted, "parameters": {"binary_data": True}} if self.binary else wanted]
        elif self.binary:
            header["parameters"] = {"binary_data_output": True}
        return header


def capabilities_of(metadata: bytes) -> ServerCapabilities:
    """Return what a model's metadata says of its server; raises ProtocolError where they cannot be read."""
    try:
        content = json.loads(metadata)
    except (ValueError, RecursionError) as error:
        raise ProtocolError("the metadata cannot be read") from error
    if not isinstance(content, dict):
        raise ProtocolError("the metadata must be an object")
    inputs, outputs = _named(content, "inputs"), _named(content, "outputs")
    name, datatype = next(iter(inputs.items()), (IMAGE, "UINT8"))
    if datatype not in DATATYPES:
        raise ProtocolError(f"the model wants a type that is none of {', '.join(DATATYPES)}")
    return ServerCapabilities(name, datatype, next((each for each in (MASK, LOGITS, *outputs) if each in outputs), ""))


def declares_binary(server_metadata: bytes) -> bool:
    """Whether a server's metadata list the extension for binary tensors; not all that speak it do."""
    try:
        content = json.loads(server_metadata)
    except (ValueError, RecursionError):
        return False
    extensions = content.get("extensions") if isinstance(content, dict) else None
    return isinstance(extensions, list) and "binary_tensor_data" in extensions


def _named(content: Mapping[str, Any], part: str) -> dict[str, str]:
    entries = content.get(part) or []
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ProtocolError(f"{part} of the metadata must be a list of objects")
    return {str(entry.get("name")): str(entry.get("datatype")) for entry in entries}


def probabilities_of(
    message: Message, capabilities: ServerCapabilities, side: int, postprocessing: Postprocessing | None = None
) -> npt.NDArray[np.float32]:
    """Return the probabilities float32 [side, side] in an answer: of a mask's bits 0 and 1, of logits their sigmoid.

    With a ``postprocessing`` logits become 0 and 1 as well, so that every server's answer is one mask.
    """
    try:
        tensor = message.tensor(capabilities.output) if capabilities.output else message.tensors[0]
    except ProtocolError as error:
        raise CloudFailure(Reason.WRONG_SHAPE, str(error)) from error
    if tensor.datatype == "UINT8":
        return _from_bits(tensor, side)
    found = _from_logits(tensor, side)
    return found if postprocessing is None else postprocessing.mask(found).astype(np.float32)


def _from_bits(tensor: Tensor, side: int) -> npt.NDArray[np.float32]:
    rows = _plane(tensor, side, (side + 7) // 8)
    return np.unpackbits(rows, axis=1)[:, :side].astype(np.float32)


def _from_logits(tensor: Tensor, side: int) -> npt.NDArray[np.float32]:
    logits = _plane(tensor, side, side)
    if not np.isfinite(logits).all():
        raise CloudFailure(Reason.CORRUPT, "logits that are no numbers")
    return sigmoid(logits)


def _plane(tensor: Tensor, height: int, width: int) -> npt.NDArray[Any]:
    """Return the values as [height, width]; dimensions of size 1 may stand before."""
    shape = tensor.values.shape
    if shape[-2:] != (height, width) or tensor.values.size != height * width:
        raise CloudFailure(Reason.WRONG_SHAPE, f"expected {[height, width]}, got {list(shape)}")
    return tensor.values.reshape(height, width)
