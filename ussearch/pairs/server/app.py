"""The web application: the routes of the Open Inference Protocol v2, and Prometheus' one."""

from __future__ import annotations

import logging
from typing import Any

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

import ussearch
from ussearch.pairs.identity import VERSION
from ussearch.pairs.protocol import DEADLINE_MS, HEADER_LENGTH, Encoded, ProtocolError
from ussearch.pairs.server.admission import Admission, Expired, Overloaded
from ussearch.pairs.server.guard import BearerGuard, Unacceptable, read_body, refusal
from ussearch.pairs.server.metrics import Counted, Metrics
from ussearch.pairs.server.model import CloudModel
from ussearch.pairs.server.settings import ServerSettings

LOG = logging.getLogger(__name__)
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
        if name != self.model.name or version != VERSION:
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


def create_app(model: CloudModel, settings: ServerSettings) -> FastAPI:
    """Return the application that serves ``model``; it looks at nothing but the token and the numbers of settings."""
    service = Service(model, settings)
    app = FastAPI(title="ussearch", docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    _add_errors(app)
    _add_inference(app, service)  # first: routes are tried in order, and this is the one that is in a hurry
    _add_health(app, service)
    _add_model(app, service)
    app.add_middleware(BearerGuard, token=settings.token)
    app.add_middleware(Counted, metrics=service.metrics)
    return app


def _add_inference(app: FastAPI, service: Service) -> None:
    async def infer(request: Request) -> Response:
        service.require(request.path_params["name"], request.path_params.get("version", VERSION))
        return await service.infer(request)

    for path in ("/v2/models/{name}/infer", "/v2/models/{name}/versions/{version}/infer"):
        app.add_route(path, infer, methods=["POST"])  # a plain route: FastAPI's own cost a quarter of a millisecond


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
    async def metadata(name: str, version: str = VERSION) -> dict[str, Any]:
        service.require(name, version)
        return service.model.metadata()

    @app.get("/v2/models/{name}/ready")
    @app.get("/v2/models/{name}/versions/{version}/ready")
    async def ready(name: str, version: str = VERSION) -> dict[str, Any]:
        service.require(name, version)
        return {"name": name, "ready": True}


def _add_errors(app: FastAPI) -> None:
    @app.exception_handler(Unacceptable)
    async def unacceptable(_: Request, error: Unacceptable) -> Response:
        unread = {"Connection": "close"} if error.status in {408, 413} else None
        return refusal(error.status, str(error), unread)

    @app.exception_handler(HTTPException)
    async def unknown(_: Request, error: HTTPException) -> Response:
        return refusal(error.status_code, str(error.detail), dict(error.headers or {}))

    @app.exception_handler(ClientDisconnect)
    async def left(_: Request, __: ClientDisconnect) -> Response:
        return refusal(400, "the body ended early")

    @app.exception_handler(Exception)
    async def defect(_: Request, error: Exception) -> Response:
        LOG.error("A request failed unexpectedly (%s).", type(error).__name__)
        return refusal(500, "the server failed")
