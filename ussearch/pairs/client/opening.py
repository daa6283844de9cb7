"""From a bundle and a URL to a client."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ussearch.pairs.bundle import Bundle
from ussearch.pairs.client.client import AsyncEdgeClient, EdgeClient
from ussearch.pairs.client.edge import EdgeNetwork
from ussearch.pairs.client.link import CloudLink
from ussearch.pairs.client.settings import CloudSettings
from ussearch.pairs.client.shadow import ShadowSight
from ussearch.pairs.identity import model_digest, model_name


def open_client(
    bundle: Bundle, url: str, *, on_shadow: Callable[[ShadowSight], None] | None = None, **settings: Any
) -> EdgeClient:
    """Return the client of ``bundle`` for the server at ``url``; ``settings`` are those of CloudSettings.

    Raises UserError for an address, a setting or a model file that cannot be used. Nothing is sent yet.
    """
    return EdgeClient(_edge(bundle), _link(bundle, url, settings), on_shadow=on_shadow)


def open_async_client(
    bundle: Bundle, url: str, *, on_shadow: Callable[[ShadowSight], None] | None = None, **settings: Any
) -> AsyncEdgeClient:
    """As ``open_client``, for an event loop."""
    return AsyncEdgeClient(_edge(bundle), _link(bundle, url, settings), on_shadow=on_shadow)


def _edge(bundle: Bundle) -> EdgeNetwork:
    manifest = bundle.manifest
    router = bundle.router
    return EdgeNetwork(bundle.folder, router, manifest.preprocessing.image_size)


def _link(bundle: Bundle, url: str, settings: dict[str, Any]) -> CloudLink:
    manifest = bundle.manifest
    own = {"model": model_name(manifest), "version": model_digest(manifest)}
    return CloudLink(CloudSettings(url, **{**own, **settings}))
