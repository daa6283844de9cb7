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
from ussearch.pairs.client.conversation import Reply
from ussearch.pairs.client.deadline import Deadline
from ussearch.pairs.client.edge import Edge, EdgeAnswer
from ussearch.pairs.client.link import Call, CloudLink
from ussearch.pairs.client.reasons import CloudFailure, Reason
from ussearch.pairs.client.shadow import Shadow, ShadowSight
from ussearch.pairs.geometry import mask_in

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

    def __init__(self, edge: Edge, link: CloudLink, shadow: Shadow) -> None:
        self._edge, self._link, self._shadow = edge, link, shadow

    def begin(self, grey: Pixels) -> _Case:
        if grey.dtype != np.uint8 or grey.ndim != 2 or not grey.size:
            raise UserError(f"An image of {grey.dtype} {list(grey.shape)} was given: expected grey uint8 [H, W].")
        begun_s = self._link.clock()
        answer = self._edge.answer(grey)
        deadline = self._link.deadline()
        return _Case(grey, answer, 1000 * (self._link.clock() - begun_s), deadline)

    def call(self, case: _Case, may_leave: bool) -> Call | None:
        """Begin the call to the cloud; None where the image stays, CloudFailure where it has to."""
        if case.edge.route == "edge":
            if may_leave:
                self._shadow.consider(case.edge, case.deadline)
            return None
        if not may_leave:
            raise CloudFailure(Reason.WITHHELD, "the image must not leave")
        return self._link.send(case.edge.pixels, case.deadline)

    def answered(self, case: _Case, reply: Reply) -> RoutedAnswer:
        mask = mask_in(reply.probabilities, case.grey.shape)
        return RoutedAnswer(mask, "cloud", Reason.ANSWERED, case.edge.confidence, self._timings(case))

    def kept(self, case: _Case, failure: CloudFailure | None) -> RoutedAnswer:
        reason = Reason.of_staying(routing_off=case.edge.routing_off) if failure is None else failure.reason
        return RoutedAnswer(case.edge.mask, "edge", reason, case.edge.confidence, self._timings(case))

    def _timings(self, case: _Case) -> Timings:
        waited_s = self._link.settings.deadline_ms / 1000 - (case.deadline.ends_s - self._link.clock())
        return Timings(case.edge_ms, 1000 * waited_s if case.edge.route == "cloud" else 0.0)


class EdgeClient:
    """Answers one image after the other, from as many threads as one likes. Close it, or use it in ``with``."""

    def __init__(
        self,
        edge: Edge,
        link: CloudLink,
        *,
        on_shadow: Callable[[ShadowSight], None] | None = None,
        chance: random.Random | None = None,
    ) -> None:
        """``on_shadow`` is told, by another thread, what the cloud would have said of images that stayed."""
        self._link = link
        self._core = _Core(edge, link, Shadow(link, on_shadow, chance))

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
        self._link.close()

    def __enter__(self) -> EdgeClient:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


class AsyncEdgeClient:
    """The same for an event loop, which goes on while the edge computes and the cloud is waited for."""

    def __init__(
        self,
        edge: Edge,
        link: CloudLink,
        *,
        on_shadow: Callable[[ShadowSight], None] | None = None,
        chance: random.Random | None = None,
    ) -> None:
        """As ``EdgeClient``; ``on_shadow`` is called by another thread than the loop's."""
        self._link = link
        self._core = _Core(edge, link, Shadow(link, on_shadow, chance))

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
        self._link.close()

    async def __aenter__(self) -> AsyncEdgeClient:
        return self

    async def __aexit__(self, *_: Any) -> None:
        await self.close()
