"""What becomes of images under each fault, and what is left in memory after thousands of them."""

from __future__ import annotations

import http.client
import itertools
import socket
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
import pytest

from served.processes import asking, embedded_server, fault_server, large_image, process
from tests.pairs.client.conftest import image
from tests.pairs.client.fault_server import expected_mask
from tests.pairs.client.test_faults import faulty
from ussearch.serving.protocol import HEADER_LENGTH, Tensor, encode

NO_SERVER = frozenset({"refused", "DNS failure", "black hole"})
DRAWN = ("", "", "", "500", "503", "corrupt body", "wrong shape", "reset mid-body", "another id", "oversized")


@contextmanager
def failing(fault: str, folder: Path) -> Iterator[str]:
    """Yield the URL of a server in its own process that has the fault, or of none."""
    with pytest.MonkeyPatch.context() as patch:
        if fault in NO_SERVER:
            with faulty(fault, folder, patch) as url:
                yield url
            return
        with process(fault_server, fault, (), str(folder)) as (url, _, _):
            if fault == "hanging DNS":
                patch.setattr(socket, "getaddrinfo", lambda *_, **__: time.sleep(0.5) or [])
            if fault == "clock jump":
                hours = itertools.count()
                patch.setattr(time, "time", lambda: next(hours) * -3600.0)
            yield url


def under(fault: str, images: int, deadline_ms: float, folder: Path) -> tuple[str, float, bool]:
    """Return the reasons of the answers, the 99th percentile of their milliseconds, and whether all were right."""
    reasons, taken_ms, right = Counter[str](), [], True
    with failing(fault, folder) as url, asking(url, deadline_ms) as client:
        for seed in range(images):
            grey = image(seed)
            begun_s = time.perf_counter()
            answer = client.predict(grey)
            taken_ms.append(1000 * (time.perf_counter() - begun_s))
            reasons[answer.reason.value] += 1
            own = expected_mask(grey.tobytes()) if answer.source == "cloud" else np.zeros_like(grey)
            right &= bool((answer.mask == own).all())
    told = ", ".join(f"{reason} {count}" for reason, count in reasons.most_common())
    return told, float(np.percentile(taken_ms, 99)), right and sum(reasons.values()) == images


def client_endurance(requests: int) -> tuple[int, float]:
    """Return how many answers were right under drawn faults, and the client's growth in MiB after the first tenth."""
    right, begun = 0, 0
    with process(fault_server, "", DRAWN, "") as (url, _, _), asking(url, 1000) as client:
        for seed in range(requests):
            grey = image(seed)
            answer = client.predict(grey)
            own = expected_mask(grey.tobytes()) if answer.source == "cloud" else np.zeros_like(grey)
            right += bool((answer.mask == own).all())
            if seed == requests // 10:
                begun = psutil.Process().memory_info().rss
    return right, (psutil.Process().memory_info().rss - begun) / 2**20


def server_endurance(model: Path, requests: int) -> tuple[int, int, float]:
    """Return good requests, how many of them were answered, and the server's growth in MiB after the first tenth."""
    chance = np.random.default_rng(0)
    message = encode({"id": "x"}, "inputs", [Tensor("image", large_image(0)[None, None])], binary=True)
    good = answered = begun = 0
    with process(embedded_server, str(model)) as (url, pid, _):
        port = int(url.rsplit(":", 1)[1])
        for number in range(requests):
            kind = chance.choice(["good", "good", "cut", "truncated", "late", "no JSON", "elsewhere"])
            good += kind == "good"
            answered += send(port, str(kind), message.body, message.headers) == 200
            if number == requests // 10:
                begun = psutil.Process(pid).memory_info().rss
        return good, answered, (psutil.Process(pid).memory_info().rss - begun) / 2**20


def send(port: int, kind: str, body: bytes, headers: dict[str, str]) -> int:
    """Send one request, good or broken, and return the status of its answer; 0 where there can be none."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    changed = {"truncated": body[:-9], "no JSON": b"{" * 999}.get(kind, body)
    own = {"no JSON": {}, "late": {**headers, "X-Deadline-Ms": "0"}}.get(kind, headers)
    path = "/v2/models/n/infer" if kind == "elsewhere" else "/v2/models/m/infer"
    try:
        if kind == "cut":
            head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
            head += f"{HEADER_LENGTH}: {headers[HEADER_LENGTH]}\r\n\r\n"
            connection.connect()
            connection.sock.sendall(head.encode() + body[: len(body) // 2])
            return 0
        connection.request("POST", path, changed, own)
        return connection.getresponse().status
    finally:
        connection.close()
