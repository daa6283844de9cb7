"""What a request must show and may cost: the token, and the bytes of its head and body."""

from __future__ import annotations

import asyncio
import hmac
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_LIMIT = 1 << 16
"""Bytes of request line and headers; the piece of what arrives in which a head begins is not counted."""


class BoundedHeads(HttpToolsProtocol):
    """Ends a connection whose request line and headers do not end within ``HEAD_LIMIT`` bytes."""

    _in_head, _head_bytes = True, 0

    def data_received(self, data: bytes) -> None:
        """Parse what came; what only made a head longer is counted."""
        self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > HEAD_LIMIT and not self.transport.is_closing():
            self.send_400_response("The head of the request is too long.")

    def on_headers_complete(self) -> None:
        """Note that a body may follow."""
        self._in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Note that another head may follow."""
        self._in_head, self._head_bytes = True, 0
        super().on_message_complete()


OPEN_PATHS = frozenset({"/v2/health/live", "/v2/health/ready"})
BODY_SECONDS = 30.0


class Unacceptable(Exception):
    """A request that is answered with ``status`` and nothing else."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def refusal(status: int, text: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """Return an error as the protocol writes it."""
    return JSONResponse({"error": text}, status, headers)


class BearerGuard:
    """Lets pass what carries the token, and questions after the server's health."""

    def __init__(self, app: ASGIApp, token: str | None) -> None:
        self._app = app
        self._expected = None if token is None else f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 401, or hand the request on."""
        if scope["type"] == "lifespan" or self._expected is None or scope.get("path") in OPEN_PATHS:
            await self._app(scope, receive, send)
            return
        given = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        if hmac.compare_digest(given, self._expected):
            await self._app(scope, receive, send)
            return
        response = refusal(401, "a valid bearer token is needed", {"WWW-Authenticate": "Bearer", "Connection": "close"})
        await response(scope, receive, send)


async def read_body(request: Request, limit: int) -> bytes:
    """Return the body, of which never more than ``limit`` bytes and a piece are read; raises Unacceptable."""
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and int(declared[:20]) > limit:
        raise Unacceptable(413, f"the body may have {limit} bytes")
    try:
        return await asyncio.wait_for(_pieces(request, limit), BODY_SECONDS)
    except (TimeoutError, asyncio.TimeoutError) as error:
        raise Unacceptable(408, "the body did not come in time") from error


async def _pieces(request: Request, limit: int) -> bytes:
    body = bytearray()
    stream: Any = request.stream()
    async for piece in stream:
        body += piece
        if len(body) > limit:
            raise Unacceptable(413, f"the body may have {limit} bytes")
    return bytes(body)
