"""The web application: the routes of the Open Inference Protocol v2, and Prometheus' one."""

from __future__ import annotations

import logging
import re
from typing import Any

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

import ussearch
from ussearch.runtime.manifest import MODEL_VERSION
from ussearch.serving.protocol import DEADLINE_MS, HEADER_LENGTH, Encoded, ProtocolError
from ussearch.serving.server.admission import Admission, Expired, Overloaded
from ussearch.serving.server.http_limits import BearerGuard, Unacceptable, read_body, refusal
from ussearch.serving.server.metrics import Counted, Metrics
from ussearch.serving.server.model import CloudModel
from ussearch.serving.server.settings import ServerSettings

LOG = logging.getLogger(__name__)
INFER_PATH = re.compile("/v2/models/(?P<name>[^/]+)(?:/versions/(?P<version>[^/]+))?/infer")
PROMETHEUS_TEXT = "text/plain; version=0.0.4; charset=utf-8"


class Service:
    """The one model that is served, with what stands before it."""

    def __init__(self, model: CloudModel, settings: ServerSettings) -> None:
        self.model = model
        self.metrics = Metrics()
        self.admission = Admission(settings.threads, settings.waiting)
        self.metrics.inside.set_function(lambda: self.admission.inside)

    def require(self, name: str, version: str) -> None:
        """Raise Unacceptable where another model is asked for; names are compared and never become paths."""
        if name != self.model.name or version != MODEL_VERSION:
            raise Unacceptable(404, "there is no such model here")

    async def infer(self, request: Request) -> Response:
        """Answer one request for inference."""
        ends_s = self._ends_s(request)
        header_length = request.headers.get(HEADER_LENGTH)
        body = await read_body(request, self.model.body_limit)
        try:
            answer = await self.admission.run(lambda: self._compute(body, header_length), ends_s)
        except Overloaded:
            self.metrics.dropped.labels("overloaded").inc()
            return refusal(503, "too many requests wait", {"Retry-After": "1"})
        except Expired as error:
            self.metrics.dropped.labels("expired").inc()
            raise Unacceptable(504, "the deadline has passed") from error
        except ProtocolError as error:
            raise Unacceptable(400, str(error)) from error
        return Response(answer.body, headers=answer.headers)

    def _compute(self, body: bytes, header_length: str | None) -> Encoded:
        with self.metrics.inference():
            return self.model.infer(body, header_length)

    def _ends_s(self, request: Request) -> float | None:
        text = request.headers.get(DEADLINE_MS)
        if text is None:
            return None
        if not (text.isascii() and text.isdigit() and len(text) < 10):
            raise Unacceptable(400, f"{DEADLINE_MS} must be whole milliseconds")
        return self.admission.clock() + int(text) / 1000


class InferenceRoute:
    """Answers requests for inference; hands everything else on.

    It stands before the framework, whose layers and routes took a tenth of what a whole call costs beside the network.
    """

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app, self._service = app, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or hand on."""
        asked = INFER_PATH.fullmatch(scope["path"]) if scope["type"] == "http" else None
        if asked is None:
            await self._app(scope, receive, send)
            return
        scope["endpoint"] = self._service.infer  # the route's name in the metrics
        request = Request(scope, receive)
        try:
            if scope["method"] != "POST":
                raise HTTPException(405, headers={"Allow": "POST"})
            self._service.require(asked["name"], asked["version"] or MODEL_VERSION)
            response = await self._service.infer(request)
        except Exception as error:
            response = answer_to(error)
        await response(scope, receive, send)


def create_app(model: CloudModel, settings: ServerSettings) -> ASGIApp:
    """Return the application that serves ``model``; it looks at nothing but the token and the numbers of settings."""
    service = Service(model, settings)
    app = FastAPI(title="ussearch", docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    for kind in (Unacceptable, HTTPException, ClientDisconnect, Exception):
        app.add_exception_handler(kind, _told)
    _add_health(app, service)
    _add_model(app, service)
    return Counted(BearerGuard(InferenceRoute(app, service), settings.token), service.metrics)


def _add_health(app: FastAPI, service: Service) -> None:
    @app.get("/v2/health/live")
    @app.get("/v2/health/ready")
    async def healthy() -> dict[str, bool]:
        return {"live": True, "ready": True}

    @app.get("/v2")
    async def server() -> dict[str, Any]:
        return {"name": "ussearch", "version": ussearch.__version__, "extensions": ["binary_tensor_data"]}

    @app.get("/metrics")
    async def metrics() -> Response:
        return Response(service.metrics.text(), media_type=PROMETHEUS_TEXT)


def _add_model(app: FastAPI, service: Service) -> None:
    @app.get("/v2/models/{name}")
    @app.get("/v2/models/{name}/versions/{version}")
    async def metadata(name: str, version: str = MODEL_VERSION) -> dict[str, Any]:
        service.require(name, version)
        return service.model.metadata()

    @app.get("/v2/models/{name}/ready")
    @app.get("/v2/models/{name}/versions/{version}/ready")
    async def ready(name: str, version: str = MODEL_VERSION) -> dict[str, Any]:
        service.require(name, version)
        return {"name": name, "ready": True}


async def _told(_: Request, error: Exception) -> Response:
    return answer_to(error)


def answer_to(error: Exception) -> Response:
    """Return what the sender is told: what was wrong with the request, never what went wrong in here."""
    if isinstance(error, Unacceptable):
        return refusal(error.status, str(error), {"Connection": "close"} if error.status in {408, 413} else None)
    if isinstance(error, HTTPException):
        return refusal(error.status_code, str(error.detail), dict(error.headers or {}))
    if isinstance(error, ClientDisconnect):
        return refusal(400, "the body ended early")
    LOG.error("A request failed unexpectedly (%s).", type(error).__name__)
    return refusal(500, "the server failed")
