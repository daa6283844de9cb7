"""The server in one process: uvicorn around the application."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from ussearch.errors import UserError
from ussearch.serving.server.model import CloudModel
from ussearch.serving.server.settings import ServerSettings

try:
    import uvicorn

    from ussearch.serving.server.app import create_app
    from ussearch.serving.server.http_limits import BoundedHeads
except ImportError as error:
    raise UserError(f"The server needs {error.name}: install the extra, pip install 'ussearch[serve]'.") from error

CONNECTIONS = 512


def serve(model: CloudModel, settings: ServerSettings, on_ready: Callable[[str], None]) -> None:
    """Serve ``model`` until SIGINT or SIGTERM; requests under way are finished. ``on_ready`` is told the URL.

    Raises UserError where the address cannot be listened on.
    """
    listener = _listen(settings)
    chosen = replace(settings, port=listener.getsockname()[1])
    with listener:
        server = uvicorn_server(model, chosen)
        on_ready(chosen.url)
        with suppress(KeyboardInterrupt):  # uvicorn has ended properly and passes the signal on
            server.run(sockets=[listener])


def uvicorn_server(model: CloudModel, settings: ServerSettings) -> uvicorn.Server:
    """Return the server, not yet running."""
    config = uvicorn.Config(
        create_app(model, settings),
        http=BoundedHeads,
        ws="none",
        lifespan="off",
        proxy_headers=False,  # nothing here asks who the client is, so nobody needs to be believed
        access_log=False,
        log_level="warning",
        server_header=False,
        limit_concurrency=CONNECTIONS,
        timeout_graceful_shutdown=settings.grace_s,
        ssl_certfile=settings.certificate,
        ssl_keyfile=settings.key,
    )
    return uvicorn.Server(config)


def _listen(settings: ServerSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family, backlog=CONNECTIONS)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UserError(
            f"Cannot listen on {settings.host}:{settings.port} ({reason}): choose another --host or --port."
        ) from error
