"""The pair at work on a device: the edge's mask first, the cloud's where it is worth it and comes in time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ussearch.errors import UserError
from ussearch.pairs.bundles.bundle import Bundle
from ussearch.pairs.identity import model_digest, model_name
from ussearch.runtime.geometry import mask_in
from ussearch.serving.client.cloud_channel import Call, CloudChannel
from ussearch.serving.client.edge import Edge, EdgeAnswer, EdgeNetwork
from ussearch.serving.client.guards import Deadline
from ussearch.serving.client.inference_call import Reply
from ussearch.serving.client.reasons import CloudFailure, Reason
from ussearch.serving.client.settings import CloudSettings
from ussearch.serving.client.shadow import Shadow, ShadowSight

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Timings:
    """Milliseconds of the edge's answer, and of the wait for the cloud after it (0 where it was not asked)."""

    edge_ms: float
    cloud_ms: float


@dataclass(frozen=True)
class RoutedAnswer:
    """The mask uint8 {0, 1} [H, W], which network it is from, why, and how sure the edge was of its own."""

    mask: Pixels
    source: Literal["edge", "cloud"]
    reason: Reason
    confidence: float
    timings: Timings


@dataclass(frozen=True)
class _Case:
    """One image whose edge mask is ready."""

    grey: Pixels
    edge: EdgeAnswer
    edge_ms: float
    deadline: Deadline


class _Core:
    """All that the two clients share: everything but the waiting."""

    def __init__(self, edge: Edge, channel: CloudChannel, shadow: Shadow) -> None:
        self._edge, self._channel, self._shadow = edge, channel, shadow

    def begin(self, grey: Pixels) -> _Case:
        if grey.dtype != np.uint8 or grey.ndim != 2 or not grey.size:
            raise UserError(f"An image of {grey.dtype} {list(grey.shape)} was given: expected grey uint8 [H, W].")
        begun_s = self._channel.clock()
        answer = self._edge.answer(grey)
        deadline = self._channel.deadline()
        return _Case(grey, answer, 1000 * (self._channel.clock() - begun_s), deadline)

    def call(self, case: _Case, may_leave: bool) -> Call | None:
        """Begin the call to the cloud; None where the image stays, CloudFailure where it has to."""
        if case.edge.route == "edge":
            if may_leave:
                self._shadow.consider(case.edge, case.deadline)
            return None
        if not may_leave:
            raise CloudFailure(Reason.WITHHELD, "the image must not leave")
        return self._channel.send(case.edge.pixels, case.deadline)

    def answered(self, case: _Case, reply: Reply) -> RoutedAnswer:
        mask = mask_in(reply.probabilities, case.grey.shape)
        return RoutedAnswer(mask, "cloud", Reason.ANSWERED, case.edge.confidence, self._timings(case))

    def kept(self, case: _Case, failure: CloudFailure | None) -> RoutedAnswer:
        reason = Reason.of_staying(routing_off=case.edge.routing_off) if failure is None else failure.reason
        return RoutedAnswer(case.edge.mask, "edge", reason, case.edge.confidence, self._timings(case))

    def _timings(self, case: _Case) -> Timings:
        waited_s = self._channel.settings.deadline_ms / 1000 - (case.deadline.ends_s - self._channel.clock())
        return Timings(case.edge_ms, 1000 * waited_s if case.edge.route == "cloud" else 0.0)


class EdgeClient:
    """Answers one image after the other, from as many threads as one likes. Close it, or use it in ``with``."""

    def __init__(
        self,
        edge: Edge,
        channel: CloudChannel,
        *,
        on_shadow: Callable[[ShadowSight], None] | None = None,
        chance: random.Random | None = None,
    ) -> None:
        """``on_shadow`` is told, by another thread, what the cloud would have said of images that stayed."""
        self._channel = channel
        self._core = _Core(edge, channel, Shadow(channel, on_shadow, chance))

    def answer(
        self, grey: Pixels, *, may_leave: bool = True, on_edge: Callable[[Pixels], None] | None = None
    ) -> RoutedAnswer:
        """Return the answer for a grey image uint8 [H, W], at the latest when the deadline has passed.

        ``on_edge`` is given the edge's mask before anything is sent. With ``may_leave`` false the image stays here,
        whatever the router says. Raises UserError for what is no grey image, and nothing that the network causes.
        """
        case = self._core.begin(grey)
        if on_edge is not None:
            on_edge(case.edge.mask)
        try:
            call = self._core.call(case, may_leave)
            reply = None if call is None else call.wait()
        except CloudFailure as failure:
            return self._core.kept(case, failure)
        return self._core.kept(case, None) if reply is None else self._core.answered(case, reply)

    def close(self) -> None:
        """Let the threads end; calls that run are not waited for."""
        self._channel.close()

    def __enter__(self) -> EdgeClient:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


class AsyncEdgeClient:
    """The same for an event loop, which goes on while the edge computes and the cloud is waited for."""

    def __init__(
        self,
        edge: Edge,
        channel: CloudChannel,
        *,
        on_shadow: Callable[[ShadowSight], None] | None = None,
        chance: random.Random | None = None,
    ) -> None:
        """As ``EdgeClient``; ``on_shadow`` is called by another thread than the loop's."""
        self._channel = channel
        self._core = _Core(edge, channel, Shadow(channel, on_shadow, chance))

    async def answer(
        self, grey: Pixels, *, may_leave: bool = True, on_edge: Callable[[Pixels], None] | None = None
    ) -> RoutedAnswer:
        """As ``EdgeClient.answer``."""
        case = await asyncio.to_thread(self._core.begin, grey)
        if on_edge is not None:
            on_edge(case.edge.mask)
        try:
            call = self._core.call(case, may_leave)
            reply = None if call is None else await call.wait_async()
        except CloudFailure as failure:
            return self._core.kept(case, failure)
        return self._core.kept(case, None) if reply is None else self._core.answered(case, reply)

    async def close(self) -> None:
        """Let the threads end; calls that run are not waited for."""
        self._channel.close()

    async def __aenter__(self) -> AsyncEdgeClient:
        return self

    async def __aexit__(self, *_: Any) -> None:
        await self.close()


def open_client(
    bundle: Bundle, url: str, *, on_shadow: Callable[[ShadowSight], None] | None = None, **settings: Any
) -> EdgeClient:
    """Return the client of ``bundle`` for the server at ``url``; ``settings`` are those of CloudSettings.

    Raises UserError for an address, a setting or a model file that cannot be used. Nothing is sent yet.
    """
    return EdgeClient(_edge(bundle), _channel(bundle, url, settings), on_shadow=on_shadow)


def open_async_client(
    bundle: Bundle, url: str, *, on_shadow: Callable[[ShadowSight], None] | None = None, **settings: Any
) -> AsyncEdgeClient:
    """As ``open_client``, for an event loop."""
    return AsyncEdgeClient(_edge(bundle), _channel(bundle, url, settings), on_shadow=on_shadow)


def _edge(bundle: Bundle) -> EdgeNetwork:
    manifest = bundle.manifest
    router = bundle.router
    return EdgeNetwork(bundle.folder, router, manifest.preprocessing.image_size)


def _channel(bundle: Bundle, url: str, settings: dict[str, Any]) -> CloudChannel:
    manifest = bundle.manifest
    own = {"model": model_name(manifest), "version": model_digest(manifest)}
    return CloudChannel(CloudSettings(url, **{**own, **settings}))
