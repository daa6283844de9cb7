"""Whatever is sent to the server: the right status, one sentence, no stack trace, and it goes on serving."""

from __future__ import annotations

import json
import socket
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.pairs.server.conftest import Answer, Running
from ussearch.serving.server.http_limits import HEAD_LIMIT

SIDE = 32
LENGTH = "Inference-Header-Content-Length"
IMAGE = np.zeros((1, 1, SIDE, SIDE), np.uint8)
ENTRY: dict[str, Any] = {"name": "image", "datatype": "UINT8", "shape": [1, 1, SIDE, SIDE]}
SIZED = {**ENTRY, "parameters": {"binary_data_size": IMAGE.size}}


def assert_clean(answer: Answer, status: int | set[int]) -> None:
    assert answer.status in (status if isinstance(status, set) else {status}), answer.body[:300]
    text = answer.body.decode()
    assert set(json.loads(text)) == {"error"}
    for word in ("Traceback", ".py", "line ", "ussearch/", "/root", "numpy"):
        assert word not in text


def request(inputs: Any, blob: bytes = b"", length: str | None = "right", **rest: Any) -> tuple[bytes, dict[str, str]]:
    text = json.dumps({"inputs": inputs, **rest}).encode()
    headers = {} if length is None else {LENGTH: str(len(text)) if length == "right" else length}
    return text + blob, headers


FULL = IMAGE.tobytes()
BAD_REQUESTS = {
    "truncated pixels": request([SIZED], FULL[:-1]),
    "too many pixels": request([SIZED], FULL + b"1"),
    "a header longer than the body": request([SIZED], FULL, "99999"),
    "a header length of 0": request([SIZED], FULL, "0"),
    "a negative header length": request([SIZED], FULL, "-5"),
    "a header length that is no number": request([SIZED], FULL, "0x10"),
    "a header length in the middle": request([SIZED], FULL, "30"),
    "another type": request([{**SIZED, "datatype": "FP32", "parameters": {"binary_data_size": 4096}}], bytes(4096)),
    "an unknown type": request([{**SIZED, "datatype": "BYTES"}], FULL),
    "another shape": request([{**SIZED, "shape": [1, 1, SIDE // 2, SIDE * 2]}], FULL),
    "two images": request([{**SIZED, "shape": [2, 1, 16, 32]}], FULL),
    "a bomb of a shape": request([{**SIZED, "shape": [1 << 40, 1 << 40]}], FULL),
    "another name": request([{**SIZED, "name": "../../etc/passwd"}], FULL),
    "two tensors": request([SIZED, {**SIZED, "name": "more"}], FULL + FULL),
    "no tensors": request([]),
    "an unknown output": request([SIZED], FULL, outputs=[{"name": "weights"}]),
    "an output twice": request([SIZED], FULL, outputs=[{"name": "mask"}, {"name": "mask"}]),
    "an output that is a list": request([SIZED], FULL, outputs=[["mask"]]),
    "outputs that are none": request([SIZED], FULL, outputs=[]),
    "a name that is a list": request([SIZED], FULL, outputs=[{"name": ["mask"]}]),
    "a flag that is text": request([SIZED], FULL, parameters={"binary_data_output": "yes"}),
    "parameters that are a list": request([SIZED], FULL, parameters=[]),
    "an id that is a number": request([SIZED], FULL, id=7),
    "an endless id": request([SIZED], FULL, id="x" * 4000),
    "deep JSON": (b'{"inputs":' + b"[" * 30000, {}),
    "deep JSON that ends": (b'{"inputs":' + b"[" * 30000 + b"]" * 30000 + b"}", {}),
    "no JSON": (b"\x00\xff", {}),
    "an empty body": (b"", {}),
    "a deadline that is no number": (request([SIZED], FULL)[0], {"X-Deadline-Ms": "soon"}),
    "a negative deadline": (request([SIZED], FULL)[0], {"X-Deadline-Ms": "-1"}),
}


@pytest.mark.parametrize("name", BAD_REQUESTS)
def test_a_wrong_request_is_one_sentence(name: str, running: Running) -> None:
    body, headers = BAD_REQUESTS[name]
    assert_clean(running.call("POST", running.infer_path, body, headers), 400)


def test_an_oversized_body_is_refused_before_it_is_read(running: Running) -> None:
    with socket.create_connection(("127.0.0.1", running.port), timeout=10) as line:
        head = f"POST {running.infer_path} HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n"
        line.sendall(head.encode())
        assert line.recv(1000).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("begun", [b"GET /", b"GET /v2 HTTP/1.1\r\nHost: x\r\nName: ", b"GET /v2 HTTP/1.1\r\n"])
@pytest.mark.parametrize("before", [0, 2])
def test_an_endless_head_is_refused_at_its_limit(running: Running, begun: bytes, before: int) -> None:
    line_by_line = begun.endswith(b"\r\n")
    with socket.create_connection(("127.0.0.1", running.port), timeout=10) as line:
        for _ in range(before):
            line.sendall(b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n")
            assert line.recv(1000).startswith(b"HTTP/1.1 200 ")
        line.sendall(begun)
        sent, answer = 0, b""
        try:
            while sent < 1 << 22:
                line.sendall((b"a: " + b"a" * 500 + b"\r\n") if line_by_line else b"a" * 505)
                sent += 505
            answer = line.recv(1000)
        except OSError:
            pass
    assert sent < 1 << 22
    assert answer == b"" or answer.startswith(b"HTTP/1.1 400 ")


def test_a_body_longer_than_a_head_may_be_is_no_head(running: Running) -> None:
    text = b'{"inputs": ' + b" " * HEAD_LIMIT + b"[]}"
    assert len(text) < running.model.body_limit
    for _ in range(3):
        assert_clean(running.call("POST", running.infer_path, text), 400)


def test_a_body_in_pieces_is_refused_at_its_limit(running: Running) -> None:
    with socket.create_connection(("127.0.0.1", running.port), timeout=10) as line:
        line.sendall(f"POST {running.infer_path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        piece = b"4000\r\n" + bytes(0x4000) + b"\r\n"
        sent = 0
        try:
            while sent < 100 * running.model.body_limit:
                line.sendall(piece)
                sent += len(piece)
        except OSError:
            pass
        answer = line.recv(1000) if sent < 100 * running.model.body_limit else b""
    assert sent < 100 * running.model.body_limit
    assert answer == b"" or answer.startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    "path",
    [
        "/v2/models/unknown",
        "/v2/models/..%2f..%2fetc%2fpasswd",
        "/v2/models/../../etc/passwd",
        "/v2/models/%00",
        "/v2/models/cloud/model.onnx",
        "/v2/models/NAME/versions/2",
        "/v2/models/NAME/versions/..%2f",
        "/docs",
        "/openapi.json",
        "/",
    ],
)
def test_nothing_else_is_there(path: str, running: Running) -> None:
    assert_clean(running.call("GET", path.replace("NAME", running.model.name)), 404)


def test_the_wrong_method_is_said(running: Running) -> None:
    assert_clean(running.call("GET", running.infer_path), 405)
    assert_clean(running.call("DELETE", f"/v2/models/{running.model.name}"), 405)


@pytest.mark.parametrize(
    "raw", [b"\x16\x03\x01\x02\x00", b"GET / HTTP/9.9\r\n\r\n", b"POST /v2 HTTP/1.1\r\n" + b"a: b\r\n" * 20000]
)
def test_what_is_no_http_harms_nothing(raw: bytes, running: Running) -> None:
    with socket.create_connection(("127.0.0.1", running.port), timeout=10) as line:
        try:
            line.sendall(raw + b"\r\n\r\n")
            answer = line.recv(1000)
        except ConnectionError:
            answer = b""
    assert answer == b"" or answer.startswith(b"HTTP/1.1 4")
    assert running.call("GET", "/v2/health/live").status == 200


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.sampled_from(["image", "mask", "UINT8", ""])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.sampled_from(["name", "datatype", "shape", "data", "parameters"]), inner, max_size=5),
    ),
    max_leaves=12,
)
CHANGED = st.fixed_dictionaries(
    {},
    optional={
        "name": JSON,
        "datatype": JSON,
        "shape": JSON,
        "data": JSON,
        "parameters": st.one_of(JSON, st.fixed_dictionaries({"binary_data_size": JSON})),
    },
)


@settings(max_examples=120)
@given(
    change=CHANGED,
    rest=st.fixed_dictionaries({}, optional={"id": JSON, "outputs": JSON, "parameters": JSON, "inputs": JSON}),
    blob=st.sampled_from([b"", FULL, FULL[:100]]),
    binary=st.booleans(),
)
def test_no_change_of_a_request_breaks_the_server(
    change: dict[str, Any], rest: dict[str, Any], blob: bytes, binary: bool, running: Running
) -> None:
    text = json.dumps({"inputs": [{**SIZED, **change}], **rest}).encode()
    answer = running.call("POST", running.infer_path, text + blob, {LENGTH: str(len(text))} if binary else {})
    if answer.status != 200:
        assert_clean(answer, 400)
    else:
        assert binary and blob == FULL
