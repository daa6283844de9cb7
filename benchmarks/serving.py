"""What the way to the cloud costs, and what becomes of images when it fails; loopback, each server in its own process.

Overhead: a network of about 4 ms for 256 x 256 pixels (64 KiB) behind the embedded server. Faults: every fault of the
tests' server, ``--images`` each. Endurance: ``--requests`` with a fault drawn for each, on either side. Writes
``docs/results/serving.md``; the machine should have nothing else to do.

    python benchmarks/serving.py [--images 1000] [--requests 10000]
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import multiprocessing
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import psutil
import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # for the fault server of the tests
# ruff: noqa: E402  (imports after the path is set)

from tests.pairs.client.conftest import PATIENT, StubEdge, image
from tests.pairs.client.fault_server import FaultServer, expected_mask
from tests.pairs.client.test_faults import FAULTS, expired_certificate, faulty
from ussearch.evaluators.onnx_network import OnnxNetwork
from ussearch.hardware_profiles.measuring import measure
from ussearch.pairs.client import CloudLink, CloudSettings, EdgeClient
from ussearch.pairs.protocol import HEADER_LENGTH, Tensor, encode
from ussearch.pairs.server import CloudModel, ServerSettings

REPORT = ROOT / "docs" / "results" / "serving.md"
SIDE, DEADLINE_MS, WANTED_MS = 256, 100.0, 4.0
LIMITS = {"overhead_ms": 2.5, "requests_a_second": 200.0, "late_ms": 10.0, "growth_mib": 5.0}
NO_SERVER = frozenset({"refused", "DNS failure", "black hole"})
DRAWN = ("", "", "", "500", "503", "corrupt body", "wrong shape", "reset mid-body", "another id", "oversized")

Processes = multiprocessing.get_context("spawn")
Pixels = npt.NDArray[np.uint8]


# ---------------------------------------------------------------- servers, each a process


class TimedNetwork(OnnxNetwork):
    """Keeps how long each forward pass took, in milliseconds."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.taken_ms: list[float] = []

    def logits(self, images: Pixels) -> npt.NDArray[np.float32]:
        """As OnnxNetwork's."""
        begun_s = time.perf_counter()
        found = super().logits(images)
        self.taken_ms.append(1000 * (time.perf_counter() - begun_s))
        return found


def embedded_server(model: str, pipe: Any) -> None:
    """Serve the model file until SIGINT; tell the URL, and at the end how long its forward passes took."""
    from ussearch.pairs.server.embedded import serve

    network = TimedNetwork(Path(model))
    serve(CloudModel("m", SIDE, network), ServerSettings(port=0), pipe.send)
    pipe.send(network.taken_ms)


def fault_server(fault: str, faults: tuple[str, ...], folder: str, pipe: Any) -> None:
    """Serve a fault, or faults that are drawn, until told to stop."""
    tls = expired_certificate(Path(folder)) if fault == "expired certificate" else None
    server = FaultServer(fault, tls=tls)
    server.faults = faults
    pipe.send(server.url)
    pipe.recv()


@contextmanager
def process(target: Callable[..., None], *arguments: Any) -> Iterator[tuple[str, int, Any]]:
    """Run a server in a process of its own; yields its URL, its process id and the pipe to it."""
    mine, theirs = Processes.Pipe()
    running = Processes.Process(target=target, args=(*arguments, theirs), daemon=True)
    running.start()
    try:
        yield mine.recv(), running.pid or 0, mine
    finally:
        running.kill()
        running.join()


# ---------------------------------------------------------------- overhead


def network_of(wanted_ms: float, path: Path) -> float:
    """Write convolutions at full resolution that take about ``wanted_ms`` here; returns the median milliseconds."""
    for depth in range(1, 200):
        onnx.save(convolutions(depth), path)
        network, pixels = TimedNetwork(path), np.zeros((1, 1, SIDE, SIDE), np.uint8)
        for _ in range(30):
            network.logits(pixels)
        median_ms = float(np.median(network.taken_ms))
        if median_ms >= wanted_ms:
            return median_ms
    raise RuntimeError("no depth is slow enough")


def convolutions(depth: int) -> onnx.ModelProto:
    """Return a network from ``image`` to ``logits`` of ``depth`` hidden layers with 4 channels."""
    chance = np.random.default_rng(0)
    widths = [1, *[4] * depth, 1]
    weights, nodes, name = [], [], "image"
    for layer, (before, after) in enumerate(itertools.pairwise(widths)):
        values = chance.normal(0, 0.1, (after, before, 3, 3)).astype(np.float32)
        weights.append(onnx.numpy_helper.from_array(values, f"w{layer}"))
        output = "logits" if layer == depth else f"c{layer}"
        nodes.append(onnx.helper.make_node("Conv", [name, f"w{layer}"], [output], pads=[1, 1, 1, 1]))
        name = output
    ends = [
        onnx.helper.make_tensor_value_info(end, onnx.TensorProto.FLOAT, [1, 1, SIDE, SIDE])
        for end in ("image", "logits")
    ]
    graph = onnx.helper.make_graph(nodes, "convolutions", ends[:1], ends[1:], weights)
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8)


def asking(url: str, deadline_ms: float, **settings: Any) -> EdgeClient:
    """Return a client whose edge costs nothing and sends everything."""
    return EdgeClient(
        StubEdge(), CloudLink(CloudSettings(url, "m", deadline_ms=deadline_ms, breaker=PATIENT, **settings))
    )


def large_image(seed: int) -> Pixels:
    """Return noise of SIDE pixels that goes to the cloud."""
    grey = np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE), dtype=np.uint8)
    grey[0, 0] = 0
    return grey


def overhead(model: Path, requests: int) -> tuple[float, float]:
    """Return the median milliseconds of one client's calls, and of the forward passes in the same run."""
    with process(embedded_server, str(model)) as (url, pid, pipe):
        with asking(url, 5000) as client:
            answers = [client.answer(large_image(seed)) for seed in range(requests)]
        os.kill(pid, signal.SIGINT)
        taken_ms = pipe.recv()
    assert all(answer.source == "cloud" for answer in answers)
    return float(np.median([answer.timings.cloud_ms for answer in answers])), float(np.median(taken_ms))


def throughput(model: Path, clients: int, seconds: float) -> float:
    """Return the answers a second of clients that ask without a pause."""
    counts = [0] * clients
    with process(embedded_server, str(model)) as (url, _, _):
        ends_s = time.perf_counter() + seconds

        def ask(place: int) -> None:
            grey = large_image(place)
            with asking(url, 5000, concurrency=1) as client:
                while time.perf_counter() < ends_s:
                    counts[place] += client.answer(grey).source == "cloud"

        threads = [threading.Thread(target=ask, args=(place,)) for place in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return sum(counts) / seconds


# ---------------------------------------------------------------- faults and endurance


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


def under(fault: str, images: int, folder: Path) -> tuple[str, float, bool]:
    """Return the reasons of the answers, the 99th percentile of their milliseconds, and whether all were right."""
    reasons, taken_ms, right = Counter[str](), [], True
    with failing(fault, folder) as url, asking(url, DEADLINE_MS) as client:
        for seed in range(images):
            grey = image(seed)
            begun_s = time.perf_counter()
            answer = client.answer(grey)
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
            answer = client.answer(grey)
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


# ---------------------------------------------------------------- the page


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=1000, help="images for each fault")
    parser.add_argument("--requests", type=int, default=10000, help="requests of the endurance runs")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each of the three throughput runs")
    parser.add_argument("--out", type=Path, default=REPORT, help="the page")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lines = [*overhead_lines(folder, arguments.seconds), *endurance_lines(folder, arguments.requests)]
        lines += fault_lines(folder, arguments.images)
    text = "\n".join(
        ["# The way to the cloud", "", f"Written by `python benchmarks/serving.py` on {measure.machine()}.", "", *lines]
    )
    print(text)
    arguments.out.write_text(text + "\n", encoding="utf-8")


def verdict(kept: bool) -> str:
    """Return how a limit fared."""
    return "kept" if kept else "NOT kept"


def overhead_lines(folder: Path, seconds: float) -> list[str]:
    """Return what the embedded server costs."""
    model = folder / "model.onnx"
    alone_ms = network_of(WANTED_MS, model)
    client_ms, model_ms = overhead(model, 300)
    rates = [throughput(model, 4, seconds) for _ in range(3)]
    extra_ms, best = client_ms - model_ms, max(rates)
    most_ms, least = LIMITS["overhead_ms"], LIMITS["requests_a_second"]
    return [
        f"A network of {alone_ms:.1f} ms (alone) behind the embedded server, 64 KiB a request: one client waits",
        f"{client_ms:.2f} ms, of which the network takes {model_ms:.2f} ms (medians of one run): overhead",
        f"**{extra_ms:.2f} ms** (limit {most_ms} ms: {verdict(extra_ms <= most_ms)}). Four clients:",
        f"**{best:.0f} requests/s**, best of {', '.join(f'{rate:.0f}' for rate in rates)}",
        f"(limit {least:.0f}: {verdict(best >= least)}).",
        "",
    ]


def endurance_lines(folder: Path, requests: int) -> list[str]:
    """Return what is left after many requests with faults."""
    right, client_mib = client_endurance(requests)
    good, answered, server_mib = server_endurance(folder / "model.onnx", requests)
    limit = LIMITS["growth_mib"]
    return [
        f"{requests:,} images with a fault drawn for each: {right:,} answered with their own mask; the client grew by",
        f"{client_mib:.1f} MiB over the last nine tenths (limit {limit}: {verdict(client_mib <= limit)}).",
        f"{requests:,} requests, good and broken, to the embedded server: {answered:,} of {good:,} good ones answered;",
        f"it grew by {server_mib:.1f} MiB (limit {limit}: {verdict(server_mib <= limit)}).",
        "",
    ]


def fault_lines(folder: Path, images: int) -> list[str]:
    """Return a table of all faults."""
    lines = [
        f"{images:,} images under each fault, deadline {DEADLINE_MS:.0f} ms, no breaker, four calls at a time and four",
        f"waiting; the 99th percentile may exceed the deadline by {LIMITS['late_ms']:.0f} ms.",
        "",
        "| fault | reasons | p99 ms | all answered with their own mask | in time |",
        "|---|---|---|---|---|",
    ]
    for fault in FAULTS:
        told, p99_ms, right = under(fault, images, folder)
        in_time = verdict(p99_ms <= DEADLINE_MS + LIMITS["late_ms"])
        lines.append(f"| {fault or 'none'} | {told} | {p99_ms:.1f} | {'yes' if right else 'NO'} | {in_time} |")
    return lines


if __name__ == "__main__":
    main()
