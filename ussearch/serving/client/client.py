"""The pair at work on a device: the edge's mask first, the cloud's where it is worth it and comes in time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ussearch.deprecations import python_name
from ussearch.runtime.bundle import ServingBundle
from ussearch.runtime.frames import AnyImage
from ussearch.runtime.geometry import mask_in
from ussearch.runtime.prediction import PredictionResult, Reason
from ussearch.runtime.predictor import Predictor
from ussearch.serving.client.cloud_channel import Call, CloudChannel
from ussearch.serving.client.guards import Deadline
from ussearch.serving.client.settings import CloudSettings
from ussearch.serving.client.shadow import Shadow, ShadowSight
from ussearch.serving.client.transport import CloudFailure

Pixels = npt.NDArray[np.uint8]
OnShadow = Callable[[ShadowSight], None]
OnEdge = Callable[[PredictionResult], None]


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


class _Client:
    """All that the two clients share: everything but the waiting."""

    def __init__(
        self,
        edge: Predictor,
        channel: CloudChannel,
        *,
        on_shadow: OnShadow | None = None,
        chance: random.Random | None = None,
        send_burned_in: bool = False,
    ) -> None:
        """``on_shadow`` is told, by another thread, what the cloud would have said of images that stayed.

        Frames that no one says are free of burned-in text stay here unless ``send_burned_in``.
        """
        self._edge, self._channel, self._shadow = edge, channel, Shadow(channel, on_shadow, chance)
        self._send_burned_in = send_burned_in

    def _begin(self, image: AnyImage) -> tuple[PredictionResult, Deadline]:
        """Return the edge's answer, and the deadline of the cloud's, which begins now."""
        found = self._edge.predict(image)
        return found, self._channel.deadline()

    def _call(self, found: PredictionResult, deadline: Deadline) -> Call | None:
        """Begin the call to the cloud; None where the frame stays, CloudFailure where it has to."""
        may_leave = found.frame.text_excluded or self._send_burned_in
        if found.route == "edge":
            if may_leave:
                self._shadow.consider(found, deadline)
            return None
        if not may_leave:
            raise CloudFailure(Reason.WITHHELD, "the image must not leave")
        return self._channel.send(found.network_input, deadline)

    def _answered(
        self, found: PredictionResult, probabilities: npt.NDArray[np.float32], deadline: Deadline
    ) -> PredictionResult:
        mask = found.frame.whole(mask_in(probabilities, found.frame.pixels.shape))
        return replace(
            found, mask=mask, source="cloud", reason=Reason.ANSWERED, cloud_ms=self._channel.waited_ms(deadline)
        )

    def _kept(self, found: PredictionResult, failure: CloudFailure, deadline: Deadline) -> PredictionResult:
        return replace(found, reason=failure.reason, cloud_ms=self._channel.waited_ms(deadline))

    def __getattr__(self, name: str) -> Any:
        """Return what an old name stands for."""
        new = python_name("ussearch.serving.client.EdgeClient", name)
        if new == name:
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")
        return getattr(self, new)


class EdgeClient(_Client):
    """Answers one frame after the other, from as many threads as one likes. Close it, or use it in ``with``."""

    def predict(self, image: AnyImage, *, on_edge: OnEdge | None = None) -> PredictionResult:
        """Return the answer for a frame or an array, at the latest when the deadline has passed.

        ``on_edge`` is given the edge's answer before anything is sent. Raises UserError for an array that is no
        image, and nothing that the network causes.
        """
        found, deadline = self._begin(image)
        if on_edge is not None:
            on_edge(found)
        try:
            call = self._call(found, deadline)
            return found if call is None else self._answered(found, call.wait().probabilities, deadline)
        except CloudFailure as failure:
            return self._kept(found, failure, deadline)

    def close(self) -> None:
        """Let the threads end; calls that run are not waited for."""
        self._channel.close()

    def __enter__(self) -> EdgeClient:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


class AsyncEdgeClient(_Client):
    """The same for an event loop, which goes on while the edge computes and the cloud is waited for.

    ``on_shadow`` is called by another thread than the loop's.
    """

    async def predict(self, image: AnyImage, *, on_edge: OnEdge | None = None) -> PredictionResult:
        """As ``EdgeClient.predict``."""
        found, deadline = await asyncio.to_thread(self._begin, image)
        if on_edge is not None:
            on_edge(found)
        try:
            call = self._call(found, deadline)
            reply = None if call is None else await call.wait_async()
        except CloudFailure as failure:
            return self._kept(found, failure, deadline)
        return found if reply is None else self._answered(found, reply.probabilities, deadline)

    async def close(self) -> None:
        """Let the threads end; calls that run are not waited for."""
        self._channel.close()

    async def __aenter__(self) -> AsyncEdgeClient:
        return self

    async def __aexit__(self, *_: Any) -> None:
        await self.close()


def open_client(
    bundle: ServingBundle,
    url: str,
    *,
    on_shadow: OnShadow | None = None,
    send_burned_in: bool = False,
    **settings: Any,
) -> EdgeClient:
    """Return the client of ``bundle`` for the server at ``url``; ``settings`` are those of CloudSettings.

    Raises UserError for an address, a setting or a model file that cannot be used. Nothing is sent yet.
    """
    channel = _channel(bundle, url, settings)
    return EdgeClient(bundle.edge_predictor(), channel, on_shadow=on_shadow, send_burned_in=send_burned_in)


def open_async_client(
    bundle: ServingBundle,
    url: str,
    *,
    on_shadow: OnShadow | None = None,
    send_burned_in: bool = False,
    **settings: Any,
) -> AsyncEdgeClient:
    """As ``open_client``, for an event loop."""
    channel = _channel(bundle, url, settings)
    return AsyncEdgeClient(bundle.edge_predictor(), channel, on_shadow=on_shadow, send_burned_in=send_burned_in)


@contextmanager
def open_predictor(bundle: ServingBundle, cloud: CloudOptions | None) -> Iterator[Predictor]:
    """Yield who answers: both networks here, or the edge here and the server in ``cloud``.

    Raises UserError for a server's address or a model file that cannot be used.
    """
    if cloud is None:
        yield bundle.predictor()
        return
    settings: dict[str, Any] = {"token": cloud.token, "authority": cloud.authority, "deadline_ms": cloud.deadline_ms}
    with open_client(bundle, cloud.url, send_burned_in=cloud.send_burned_in, **settings) as client:
        yield client


def _channel(bundle: ServingBundle, url: str, settings: dict[str, Any]) -> CloudChannel:
    manifest = bundle.manifest
    own = {
        "model": manifest.model_name,
        "version": manifest.served_digest,
        "postprocessing": manifest.postprocessing_of("cloud"),
    }
    return CloudChannel(CloudSettings(url, **{**own, **settings}))
