"""What Prometheus may know of the server: numbers by route and status, never anything of an image."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


class Metrics:
    """The counters of one application."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "ussearch_requests", "Answers by route and status.", ["route", "status"], registry=self._registry
        )
        self.request_seconds = Histogram(
            "ussearch_request_seconds", "From head to answer.", ["route"], buckets=SECONDS, registry=self._registry
        )
        self.inference_seconds = Histogram(
            "ussearch_inference_seconds", "In the worker's thread.", buckets=SECONDS, registry=self._registry
        )
        self.dropped = Counter(
            "ussearch_dropped", "Requests not computed, by reason.", ["reason"], registry=self._registry
        )
        self.inside = Gauge("ussearch_inferences_inside", "Running or waiting.", registry=self._registry)

    def text(self) -> bytes:
        """Return all of it as Prometheus reads it."""
        return generate_latest(self._registry)

    @contextmanager
    def inference(self) -> Iterator[None]:
        """Time one inference."""
        begun_s = time.perf_counter()
        yield
        self.inference_seconds.observe(time.perf_counter() - begun_s)


class Counted:
    """Counts and times every request by the name of its route: the paths that strangers try must not be labels."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request on and look at the answer's status."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun_s, status = time.perf_counter(), 500

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watch)
        finally:
            route = getattr(scope.get("endpoint"), "__name__", "none")
            self._metrics.requests.labels(route, str(status)).inc()
            self._metrics.request_seconds.labels(route).observe(time.perf_counter() - begun_s)
