"""Which engine runs the application."""

from __future__ import annotations

from collections.abc import Callable

from ussearch.pairs.bundle import Bundle
from ussearch.pairs.server.model import CloudModel
from ussearch.pairs.server.settings import ServerSettings
from ussearch.registry import Registry

Ready = Callable[[str], None]
Engine = Callable[[Bundle, ServerSettings, Ready], None]
ENGINES: Registry[Engine] = Registry("engine")


@ENGINES.register("embedded")
def _embedded(bundle: Bundle, settings: ServerSettings, on_ready: Ready) -> None:
    from ussearch.pairs.server.embedded import serve

    serve(CloudModel.of(bundle), settings, on_ready)


@ENGINES.register("ray")
def _ray(bundle: Bundle, settings: ServerSettings, on_ready: Ready) -> None:
    from ussearch.pairs.server.ray_engine import serve

    serve(bundle, settings, on_ready)


def run_server(bundle: Bundle, settings: ServerSettings, engine: str, on_ready: Ready) -> None:
    """Serve the cloud network of ``bundle`` until SIGINT or SIGTERM; ``on_ready`` is told the URL.

    Raises UserError where the engine is unknown or its extra missing, or the address cannot be listened on.
    """
    ENGINES[engine](bundle, settings, on_ready)
