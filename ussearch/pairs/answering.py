"""Who answers a frame: both networks on this machine, or the edge here and the cloud at the other end of a line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ussearch.datasets import Frame
from ussearch.pairs.bundles.bundle import Bundle
from ussearch.pairs.running import Route, RunningPair
from ussearch.serving.client import EdgeClient, Reason, open_client

HERE = "cloud network on this machine"
ALONE = "no cloud asked"


@dataclass(frozen=True)
class Answered:
    """The mask uint8 {0, 1} of the cropped frame, the network that it is from, why, and how sure the edge was."""

    mask: npt.NDArray[np.uint8]
    route: Route
    reason: str
    confidence: float
    cloud_ms: float = 0.0


class Answering(Protocol):
    """Whatever answers frames."""

    def answer(self, frame: Frame) -> Answered:
        """Return the answer for one frame."""


@dataclass(frozen=True)
class CloudOptions:
    """The server to ask and how: its URL, the bearer token, the authority of its certificate, the milliseconds that
    an image may wait, and whether frames may be sent that no one says are free of burned-in text.
    """

    url: str
    token: str | None = None
    authority: Path | None = None
    deadline_ms: float = 500.0
    send_burned_in: bool = False


@dataclass(frozen=True)
class LocalPair:
    """Both networks, here."""

    pair: RunningPair

    def answer(self, frame: Frame) -> Answered:
        """Return the edge's mask, or the cloud network's where the router says so."""
        edge = self.pair.answer(frame.pixels)
        if edge.route == "edge":
            return Answered(edge.mask, "edge", _stays(self.pair), edge.confidence)
        return Answered(self.pair.cloud_mask(frame.pixels), "cloud", HERE, edge.confidence)


@dataclass(frozen=True)
class EdgeAlone:
    """The edge network, here; what the router would send away stays."""

    pair: RunningPair

    def answer(self, frame: Frame) -> Answered:
        """Return the edge's mask; the reason tells whether the router was content with it."""
        edge = self.pair.answer(frame.pixels)
        reason = _stays(self.pair) if edge.route == "edge" else ALONE
        return Answered(edge.mask, "edge", reason, edge.confidence)


@dataclass(frozen=True)
class RemotePair:
    """The edge here, the cloud where ``client`` finds it."""

    client: EdgeClient
    send_burned_in: bool

    def answer(self, frame: Frame) -> Answered:
        """Return the cloud's mask where the router wants it, the frame may leave and the answer comes in time."""
        may_leave = frame.text_excluded or self.send_burned_in
        found = self.client.answer(frame.pixels, may_leave=may_leave)
        return Answered(found.mask, found.source, found.reason.value, found.confidence, found.timings.cloud_ms)


def _stays(pair: RunningPair) -> str:
    return str(Reason.of_staying(routing_off=pair.router.off).value)


@contextmanager
def answering(bundle: Bundle, cloud: CloudOptions | None) -> Iterator[Answering]:
    """Yield who answers; raises UserError for a server's address or a model file that cannot be used."""
    if cloud is None:
        yield LocalPair(bundle.running())
        return
    settings: dict[str, Any] = {"token": cloud.token, "authority": cloud.authority, "deadline_ms": cloud.deadline_ms}
    with open_client(bundle, cloud.url, **settings) as client:
        yield RemotePair(client, cloud.send_burned_in)
