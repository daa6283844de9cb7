"""Which engine runs the application: this process, or replicas under Ray Serve; each is imported when it is chosen."""

from __future__ import annotations

from collections.abc import Callable

from ussearch.registry import Registry
from ussearch.runtime.bundle import ServingBundle
from ussearch.serving.server.model import CloudModel
from ussearch.serving.server.settings import ServerSettings

Ready = Callable[[str], None]
Engine = Callable[[ServingBundle, ServerSettings, Ready], None]
ENGINES: Registry[Engine] = Registry("engine")


@ENGINES.register("embedded")
def _embedded(bundle: ServingBundle, settings: ServerSettings, on_ready: Ready) -> None:
    from ussearch.serving.server.embedded import serve

    serve(CloudModel.of(bundle), settings, on_ready)


@ENGINES.register("ray")
def _ray(bundle: ServingBundle, settings: ServerSettings, on_ready: Ready) -> None:
    from ussearch.serving.server.ray_engine import serve

    serve(bundle, settings, on_ready)


def run_server(bundle: ServingBundle, settings: ServerSettings, engine: str, on_ready: Ready) -> None:
    """Serve the cloud network of ``bundle`` until SIGINT or SIGTERM; ``on_ready`` is told the URL.

    Raises UserError where the engine is unknown or its extra missing, or the address cannot be listened on.
    """
    ENGINES[engine](bundle, settings, on_ready)
