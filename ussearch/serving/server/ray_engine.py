"""The same application under Ray Serve: replicas that come and go with the load.

What one replica cannot take waits in Ray's proxy, and what cannot wait there is answered 503 by it.
"""

from __future__ import annotations

import importlib
import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from ussearch.errors import UserError
from ussearch.runtime.bundle import ServingBundle
from ussearch.serving.server.model import CloudModel
from ussearch.serving.server.settings import ServerSettings

APPLICATION = "ussearch"
NO_PATHS = {"enable_access_log": False}
"""Of Ray's proxy and replicas: what strangers ask for is not kept."""


def serve(bundle: ServingBundle, settings: ServerSettings, on_ready: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM. Joins the cluster that RAY_ADDRESS names, else begins one on this machine.

    Raises UserError without the extra ``ray``, and for settings that Ray's proxy does not know.
    """
    if settings.certificate is not None or settings.port == 0:
        raise UserError("Ray's proxy serves http on a port of your choice: give --port, and put TLS before it.")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        ray_serve: Any = importlib.import_module("ray.serve")
    except ImportError as error:
        raise UserError(f"--engine ray needs {error.name}: install the extra, pip install 'ussearch[ray]'.") from error
    ended = threading.Event()
    ray_serve.start(http_options={"host": settings.host, "port": settings.port}, logging_config=NO_PATHS)
    try:
        ray_serve.run(
            deployment(bundle.folder.resolve(), settings), name=APPLICATION, route_prefix="/", logging_config=NO_PATHS
        )
        signal.signal(signal.SIGTERM, lambda *_: ended.set())
        on_ready(settings.url)
        with suppress(KeyboardInterrupt):
            ended.wait()
    finally:
        ray_serve.shutdown()


def deployment(folder: Path, settings: ServerSettings) -> Any:
    """Return the application bound to the bundle at ``folder``, which every node must be able to read."""
    ray_serve: Any = importlib.import_module("ray.serve")
    one = replace(settings, workers=settings.workers or 1)  # more cores are for more replicas

    def build() -> Any:
        from ussearch.serving.server.app import create_app

        return create_app(CloudModel.of(ServingBundle.load(folder)), one)

    inside = one.threads + one.waiting
    return ray_serve.deployment(
        autoscaling_config={"min_replicas": 1, "max_replicas": one.replicas, "target_ongoing_requests": one.threads},
        max_ongoing_requests=inside,
        max_queued_requests=inside,
        graceful_shutdown_timeout_s=one.grace_s,
        ray_actor_options={"num_cpus": one.threads},
    )(ray_serve.ingress(build)()).bind()
