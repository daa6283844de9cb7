"""Messages against bytes put together by hand, and against what breaks the rules."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from ussearch.serving.protocol import HEADER_LENGTH, ProtocolError, Tensor, decode, encode


def by_hand(entry: object, blob: bytes = b"", part: str = "inputs") -> tuple[bytes, str]:
    text = json.dumps({"id": "7", part: [entry]}).encode()
    return text + blob, str(len(text))


def test_a_binary_message_is_json_and_little_endian_bytes() -> None:
    message = encode({"id": "7"}, "inputs", [Tensor("x", np.array([[1.5, -2.0]], np.float32))], binary=True)
    length = int(message.headers[HEADER_LENGTH])
    entry = {"name": "x", "datatype": "FP32", "shape": [1, 2], "parameters": {"binary_data_size": 8}}
    assert json.loads(message.body[:length]) == {"id": "7", "inputs": [entry]}
    assert message.body[length:] == struct.pack("<ff", 1.5, -2.0)


def test_lists_may_be_flat_or_nested() -> None:
    for data in ([1, 2, 3, 255], [[1, 2], [3, 255]]):
        body, _ = by_hand({"name": "x", "datatype": "UINT8", "shape": [2, 2], "data": data})
        (tensor,) = decode(body, None, "inputs").tensors
        assert tensor.values.tolist() == [[1, 2], [3, 255]]
        assert tensor.values.dtype == np.uint8


VALUES = st.one_of(
    arrays.arrays(np.uint8, arrays.array_shapes(max_dims=4)),
    arrays.arrays(np.float32, arrays.array_shapes(max_dims=4), elements=st.floats(-1e6, 1e6, width=32)),
)


@given(st.lists(VALUES, min_size=1, max_size=3), st.booleans())
def test_what_is_written_is_read_again(values: list[np.ndarray], binary: bool) -> None:
    tensors = [Tensor(f"t{number}", each) for number, each in enumerate(values)]
    message = encode({"id": "a"}, "outputs", tensors, binary)
    found = decode(message.body, message.headers.get(HEADER_LENGTH), "outputs")
    assert found.header == {"id": "a"}
    for tensor, expected in zip(found.tensors, tensors, strict=True):
        assert tensor.name == expected.name
        assert tensor.values.dtype == expected.values.dtype
        assert np.array_equal(tensor.values, expected.values)


GOOD = {"name": "x", "datatype": "UINT8", "shape": [2], "parameters": {"binary_data_size": 2}}
BROKEN = {
    "no bytes": (GOOD, b""),
    "a byte too few": (GOOD, b"1"),
    "a byte too many": (GOOD, b"123"),
    "a size that is not the shape's": ({**GOOD, "parameters": {"binary_data_size": 3}}, b"123"),
    "a size below 0": ({**GOOD, "parameters": {"binary_data_size": -2}}, b"12"),
    "a size that is true": ({**GOOD, "shape": [1], "parameters": {"binary_data_size": True}}, b"1"),
    "a huge shape": ({**GOOD, "shape": [10**9, 10**9, 10**9]}, b"12"),
    "a shape of 0": ({**GOOD, "shape": [0]}, b""),
    "a shape below 0": ({**GOOD, "shape": [-1, -2]}, b"12"),
    "a shape of text": ({**GOOD, "shape": ["2"]}, b"12"),
    "no shape": ({**GOOD, "shape": []}, b"12"),
    "too many dimensions": ({**GOOD, "shape": [1] * 40 + [2]}, b"12"),
    "an unknown type": ({**GOOD, "datatype": "INT64"}, b"12"),
    "a type that is a list": ({**GOOD, "datatype": ["UINT8"]}, b"12"),
    "no name": ({"datatype": "UINT8", "shape": [2]}, b"12"),
    "not an object": ("x", b""),
    "too few values": ({"name": "x", "datatype": "UINT8", "shape": [2], "data": [1]}, b""),
    "values out of range": ({"name": "x", "datatype": "UINT8", "shape": [2], "data": [1, 256]}, b""),
    "values below 0": ({"name": "x", "datatype": "UINT8", "shape": [2], "data": [1, -1]}, b""),
    "fractions": ({"name": "x", "datatype": "UINT8", "shape": [2], "data": [1, 1.5]}, b""),
    "words": ({"name": "x", "datatype": "FP32", "shape": [2], "data": [1, "2"]}, b""),
    "truths": ({"name": "x", "datatype": "FP32", "shape": [2], "data": [True, False]}, b""),
    "nothing": ({"name": "x", "datatype": "FP32", "shape": [2], "data": [None, None]}, b""),
    "a ragged list": ({"name": "x", "datatype": "UINT8", "shape": [2], "data": [[1], [1, 2]]}, b""),
    "huge numbers": ({"name": "x", "datatype": "FP32", "shape": [1], "data": [10**400]}, b""),
    "no data": ({"name": "x", "datatype": "FP32", "shape": [1]}, b""),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_what_does_not_fit_together_is_refused(fault: str) -> None:
    entry, blob = BROKEN[fault]
    body, length = by_hand(entry, blob)
    with pytest.raises(ProtocolError):
        decode(body, length, "inputs")


@pytest.mark.parametrize("length", ["", "0", "-1", "1e3", "99999999999999999999", "٣", "12x", "10000"])
def test_a_header_length_that_cannot_be_is_refused(length: str) -> None:
    body, _ = by_hand(GOOD, b"12")
    with pytest.raises(ProtocolError, match=HEADER_LENGTH):
        decode(body, length, "inputs")


@pytest.mark.parametrize("text", [b"", b"[]", b"{", b"\xff\xfe", b'{"inputs": 1}', b'{"inputs": []}', b"[" * 60000])
def test_json_of_another_kind_is_refused(text: bytes) -> None:
    for length in (None, str(len(text))):
        with pytest.raises(ProtocolError):
            decode(text, length, "inputs")


@given(
    st.binary(max_size=300), st.one_of(st.none(), st.integers(-5, 320).map(str), st.sampled_from(["", "x", "٣", "1.0"]))
)
def test_arbitrary_bytes_are_refused_and_nothing_else(body: bytes, length: str | None) -> None:
    with pytest.raises(ProtocolError):
        decode(body, length, "inputs")
