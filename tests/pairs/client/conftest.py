"""An edge of a few lines, a fault server, and clients between them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tests.pairs.client.fault_server import SIDE, FaultServer
from ussearch.runtime.frames import AnyImage, as_frame
from ussearch.serving.client import (
    BreakerRules,
    CloudChannel,
    CloudSettings,
    EdgeClient,
    PredictionResult,
    Reason,
)
from ussearch.serving.client.guards import Clock

Pixels = npt.NDArray[np.uint8]
PATIENT = BreakerRules(failures=10**9, window=10**9)
"""A breaker that never opens, for tests of the other guards."""


class StubEdge:
    """Answers with an empty mask and sends every image away, unless its first pixel is 255."""

    def predict(self, image: AnyImage) -> PredictionResult:
        frame = as_frame(image)
        stays = frame.pixels[0, 0] == 255
        return PredictionResult(
            mask=np.zeros_like(frame.pixels),
            confidence=0.9 if stays else 0.1,
            route="edge" if stays else "cloud",
            source="edge",
            reason=Reason.CONFIDENT if stays else Reason.NO_CLOUD,
            frame=frame,
            network_input=frame.pixels[None, None],
        )


def image(seed: int) -> Pixels:
    """Return a grey image uint8 [SIDE, SIDE] that goes to the cloud."""
    grey = np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE), dtype=np.uint8)
    grey[0, 0] = 0
    return grey


@pytest.fixture
def server() -> Iterator[FaultServer]:
    running = FaultServer()
    yield running
    running.stop()


@pytest.fixture
def client_of() -> Iterator[Callable[..., EdgeClient]]:
    """Return a maker of clients, which are closed at the end."""
    made: list[EdgeClient] = []

    def make(url: str, clock: Clock = time.monotonic, **settings: Any) -> EdgeClient:
        own = {"model": "m", "version": "v", "deadline_ms": 2000.0, "breaker": PATIENT}
        made.append(EdgeClient(StubEdge(), CloudChannel(CloudSettings(url, **{**own, **settings}), clock=clock)))
        return made[-1]

    yield make
    for client in made:
        client.close()
