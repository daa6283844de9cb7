"""A small server of the tests that can fail in every way, written without the package's own protocol code.

Its mask is made of the hash of the pixels that it was sent, so that an answer on the wrong image is seen.
"""

from __future__ import annotations

import hashlib
import json
import random
import socket
import ssl
import struct
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import numpy.typing as npt

SIDE = 32
LENGTH = "Inference-Header-Content-Length"
HOLD_S = 1.0  # how long a fault that says nothing keeps the connection: longer than any deadline of the tests


def expected_mask(pixels: bytes) -> npt.NDArray[np.uint8]:
    """Return the mask uint8 {0, 1} [SIDE, SIDE] that belongs to these pixels."""
    bits = hashlib.shake_256(pixels).digest(SIDE * SIDE // 8)
    return np.unpackbits(np.frombuffer(bits, np.uint8)).reshape(SIDE, SIDE)


class FaultServer(ThreadingHTTPServer):
    """Serves ``/v2/models/NAME`` on loopback; ``fault`` may be changed at any time, ``asked`` counts inferences."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self, fault: str = "", port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self.fault = fault
        self.faults: tuple[str, ...] = ()
        self.chance = random.Random(0)
        self.delay_s = 0.0
        self.binary = True
        self.refusal = 422
        self.asked = 0
        self.bodies: list[dict[str, Any]] = []
        self.connections: set[socket.socket] = set()
        super().__init__(("127.0.0.1", port), Handler)
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.scheme = "http" if tls is None else "https"
        threading.Thread(target=lambda: self.serve_forever(0.02), daemon=True).start()

    def drawn(self) -> str:
        """Return the fault of the next request: ``fault``, or one of ``faults`` where there are any."""
        return self.chance.choice(self.faults) if self.faults else self.fault

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.server_port}"

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections.add(request)
        super().process_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # a client that leaves is what the tests are about

    def stop(self) -> None:
        """End as a killed process does: the port closed, every connection reset."""
        self.shutdown()
        self.server_close()
        for connection in self.connections:
            reset(connection)


def reset(connection: socket.socket) -> None:
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RDWR)
        connection.close()
    except OSError:
        pass


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FaultServer
    disable_nagle_algorithm = True
    fault = ""

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        name = self.path.rsplit("/", 1)[-1]
        extensions = {"extensions": ["binary_tensor_data"] if self.server.binary else []}
        inputs = [{"name": "image", "datatype": "UINT8", "shape": [1, 1, SIDE, SIDE]}]
        outputs = [{"name": "mask", "datatype": "UINT8", "shape": [1, 1, SIDE, SIDE // 8]}]
        self.answer(200, json.dumps({"name": name, "inputs": inputs, "outputs": outputs, **extensions}).encode())

    def do_POST(self) -> None:
        self.server.asked += 1
        fault = self.fault = self.server.drawn()
        if fault == "slow reading":
            time.sleep(HOLD_S)
            return
        body = self.rfile.read(int(self.headers["Content-Length"]))
        header, pixels = self.parsed(body)
        self.server.bodies = [*self.server.bodies[-99:], header]
        time.sleep(self.server.delay_s)
        if fault.isdigit():
            self.answer(int(fault), b'{"error": "injected"}')
        elif not self.server.binary and self.headers[LENGTH]:
            self.answer(self.server.refusal, b'{"error": "JSON only"}')
        elif not self.server.binary:
            self.answer(200, self.as_json(header, pixels))
        else:
            self.misbehave(fault, *self.as_binary(header, pixels))

    def parsed(self, body: bytes) -> tuple[dict[str, Any], bytes]:
        length = self.headers[LENGTH]
        if length is None:
            header = json.loads(body)
            return header, bytes(header["inputs"][0]["data"])
        return json.loads(body[: int(length)]), body[int(length) :]

    def as_json(self, header: dict[str, Any], pixels: bytes) -> bytes:
        bits = np.packbits(expected_mask(pixels), axis=1)
        output = {"name": "mask", "datatype": "UINT8", "shape": [1, 1, *bits.shape], "data": bits.ravel().tolist()}
        return json.dumps({"id": header["id"], "outputs": [output]}).encode()

    def as_binary(self, header: dict[str, Any], pixels: bytes) -> tuple[bytes, bytes]:
        bits = np.packbits(expected_mask(pixels), axis=1)
        shape = [1, 1, SIDE // 2, SIDE // 4] if self.fault == "wrong shape" else [1, 1, *bits.shape]
        output = {"name": "mask", "datatype": "UINT8", "shape": shape}
        output["parameters"] = {"binary_data_size": bits.size}
        identity = "another" if self.fault == "another id" else header["id"]
        return json.dumps({"id": identity, "outputs": [output]}).encode(), bits.tobytes()

    def misbehave(self, fault: str, text: bytes, blob: bytes) -> None:
        if fault == "corrupt body":
            self.answer(200, bytes(reversed(text + blob)), {LENGTH: str(len(text))})
        elif fault == "oversized":
            self.answer(200, text + blob + bytes(300_000), {LENGTH: str(len(text))})
        elif fault in {"reset mid-body", "dripping"}:
            self.send_response(200)
            self.send_header(LENGTH, str(len(text)))
            self.send_header("Content-Length", str(len(text + blob)))
            self.end_headers()
            if fault == "reset mid-body":
                self.wfile.write((text + blob)[:40])
                reset(self.connection)
                return
            for byte in text + blob:
                self.wfile.write(bytes([byte]))
                time.sleep(0.02)
        else:
            self.answer(200, text + blob, {LENGTH: str(len(text))})

    def answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
