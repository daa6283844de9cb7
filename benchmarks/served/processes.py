"""Servers in processes of their own, and a client that sends them everything."""

from __future__ import annotations

import multiprocessing
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # for the fault server of the tests
# ruff: noqa: E402  (imports after the path is set)

from tests.pairs.client.conftest import PATIENT, StubEdge
from tests.pairs.client.fault_server import FaultServer
from tests.pairs.client.test_faults import expired_certificate
from ussearch.runtime.onnx_network import OnnxNetwork
from ussearch.serving.client import CloudChannel, CloudSettings, EdgeClient
from ussearch.serving.server import CloudModel, ServerSettings

SIDE = 256

Processes = multiprocessing.get_context("spawn")
Pixels = npt.NDArray[np.uint8]


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
    from ussearch.serving.server.embedded import serve

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


def asking(url: str, deadline_ms: float, **settings: Any) -> EdgeClient:
    """Return a client whose edge costs nothing and sends everything."""
    return EdgeClient(
        StubEdge(), CloudChannel(CloudSettings(url, "m", deadline_ms=deadline_ms, breaker=PATIENT, **settings))
    )


def large_image(seed: int) -> Pixels:
    """Return noise of SIDE pixels that goes to the cloud."""
    grey = np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE), dtype=np.uint8)
    grey[0, 0] = 0
    return grey
