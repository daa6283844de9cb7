"""Messages of the Open Inference Protocol v2 over HTTP, as both the client and the server read and write them.

A message is a JSON header with one entry a tensor. With the binary-tensor extension the values follow the header
as little-endian bytes, one tensor after the other, and the HTTP header ``Inference-Header-Content-Length`` tells
where the JSON ends; without it the values are lists in the JSON. Source: the protocol's specification (KServe,
"Open Inference Protocol"; Triton, "Binary Tensor Data Extension").
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

HEADER_LENGTH = "Inference-Header-Content-Length"
DEADLINE_MS = "X-Deadline-Ms"
"""Milliseconds that the sender will still wait, counted from the arrival of the request: clocks need not agree."""

DATATYPES: dict[str, np.dtype[Any]] = {"UINT8": np.dtype("u1"), "FP32": np.dtype("<f4")}
JSON_HEADER_LIMIT = 1 << 16  # bytes of the JSON part of a binary message
RANK_LIMIT = 8

Part = Literal["inputs", "outputs"]


class ProtocolError(Exception):
    """A message that breaks the protocol; the text says how and holds none of its content."""


@dataclass(frozen=True)
class Tensor:
    """A named array, uint8 or float32."""

    name: str
    values: npt.NDArray[Any]

    @property
    def datatype(self) -> str:
        """The protocol's name of the type, such as ``UINT8``."""
        return next(name for name, dtype in DATATYPES.items() if dtype == self.values.dtype)


@dataclass(frozen=True)
class Message:
    """What came: the JSON header without its tensors' values, and the tensors."""

    header: Mapping[str, Any]
    tensors: tuple[Tensor, ...]

    def tensor(self, name: str) -> Tensor:
        """Return the tensor of that name; raises ProtocolError where there is none."""
        found = next((tensor for tensor in self.tensors if tensor.name == name), None)
        if found is None:
            raise ProtocolError(f"there is no tensor {name!r}")
        return found


@dataclass(frozen=True)
class Encoded:
    """The body of a message and the HTTP headers that describe it."""

    body: bytes
    headers: dict[str, str]


def encode(
    header: Mapping[str, Any], part: Part, tensors: Sequence[Tensor], binary: bool | Mapping[str, bool]
) -> Encoded:
    """Return the message with ``tensors`` under ``part``; ``binary`` says whether (or which) values travel as bytes."""
    entries: list[dict[str, Any]] = []
    blobs: list[memoryview] = []
    for tensor in tensors:
        entry: dict[str, Any] = {
            "name": tensor.name,
            "datatype": tensor.datatype,
            "shape": list(tensor.values.shape),
        }
        if binary.get(tensor.name, False) if isinstance(binary, Mapping) else binary:
            blobs.append(np.ascontiguousarray(tensor.values, DATATYPES[tensor.datatype]).ravel().data)
            entry["parameters"] = {"binary_data_size": blobs[-1].nbytes}
        else:
            entry["data"] = tensor.values.ravel().tolist()
        entries.append(entry)
    text = json.dumps({**header, part: entries}, separators=(",", ":")).encode()
    if not blobs:
        return Encoded(text, {"Content-Type": "application/json"})
    headers = {"Content-Type": "application/octet-stream", HEADER_LENGTH: str(len(text))}
    return Encoded(b"".join([text, *blobs]), headers)


def decode(body: bytes, header_length: str | None, part: Part) -> Message:
    """Return the message in ``body``; nothing is allocated for a tensor before its size is known to be there.

    ``header_length`` is the value of the HTTP header, or None where it was absent. Raises ProtocolError for whatever
    does not fit together.
    """
    text = body if header_length is None else body[: _json_length(header_length, len(body))]
    blobs = memoryview(body)[len(text) :]
    header = _json_object(text)
    entries = header.pop(part, None)
    if not isinstance(entries, list) or not entries:
        raise ProtocolError(f"{part} must be a list of tensors")
    tensors = []
    for entry in entries:
        tensor, used = _tensor(entry, blobs)
        tensors.append(tensor)
        blobs = blobs[used:]
    if len(blobs):
        raise ProtocolError(f"{len(blobs)} bytes are left behind the last tensor")
    return Message(header, tuple(tensors))


def _json_length(text: str, available: int) -> int:
    length = int(text) if text.isascii() and text.isdigit() and len(text) < 12 else -1
    if not 0 < length <= min(available, JSON_HEADER_LIMIT):
        raise ProtocolError(f"{HEADER_LENGTH} must be from 1 to {min(available, JSON_HEADER_LIMIT)}")
    return length


def _json_object(text: bytes) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ProtocolError("the JSON cannot be read") from error
    if not isinstance(value, dict):
        raise ProtocolError("the JSON must be an object")
    return value


def _tensor(entry: Any, blobs: memoryview) -> tuple[Tensor, int]:
    """Return one tensor and how many of the bytes it took."""
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
        raise ProtocolError("a tensor must be an object with a name")
    dtype, shape = _dtype(entry), _shape(entry)
    parameters = entry.get("parameters") or {}
    size = parameters.get("binary_data_size") if isinstance(parameters, dict) else None
    if size is None:
        return Tensor(entry["name"], _listed(entry.get("data"), dtype, shape)), 0
    expected = math.prod(shape) * dtype.itemsize
    if type(size) is not int or size != expected or size > len(blobs):
        raise ProtocolError(f"binary_data_size must be {expected}, and as many bytes must follow")
    return Tensor(entry["name"], np.frombuffer(blobs[:size], dtype).reshape(shape)), size


def _dtype(entry: Mapping[str, Any]) -> np.dtype[Any]:
    datatype = entry.get("datatype")
    if not isinstance(datatype, str) or datatype not in DATATYPES:
        raise ProtocolError(f"datatype must be one of {', '.join(DATATYPES)}")
    return DATATYPES[datatype]


def _shape(entry: Mapping[str, Any]) -> tuple[int, ...]:
    shape = entry.get("shape")
    if not isinstance(shape, list) or not 0 < len(shape) <= RANK_LIMIT:
        raise ProtocolError(f"shape must be a list of 1 to {RANK_LIMIT} numbers")
    if not all(type(side) is int and side > 0 for side in shape):
        raise ProtocolError("shape must hold whole numbers above 0")
    return tuple(shape)


def _listed(data: Any, dtype: np.dtype[Any], shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """Return the values of a tensor in JSON, flat or nested, where type, range and number are right."""
    try:
        values = np.asarray(data)
    except ValueError as error:
        raise ProtocolError("data must be a list of numbers") from error
    if values.size != math.prod(shape):
        raise ProtocolError(f"data must hold as many values as the shape {list(shape)}")
    if values.dtype.kind not in ("iu" if dtype.kind == "u" else "iuf"):
        raise ProtocolError("data must be numbers of the datatype")
    if dtype.kind == "u" and (values.min() < 0 or values.max() > np.iinfo(dtype).max):
        raise ProtocolError("data exceeds the range of the datatype")
    with np.errstate(over="ignore"):
        return values.astype(dtype).reshape(shape)
